"""BuildKit's session: the engine calls its client back, by gRPC on a connection the client opened, for logins and secrets.

On that connection, an upgraded POST /session or a tunnel, the roles are swapped: this side is the HTTP/2 server, and all that
happens here is an answer to something that came in, so that one thread with a blocking socket is enough.

Sources: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and, in moby/buildkit, session/auth/auth.proto and
session/secrets/secrets.proto.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError, StreamClosedError, StreamIDTooLowError

from gitdeploy.config.imagereference import HUB
from gitdeploy.engine import protobuf
from gitdeploy.engine.apiversion import NATIVE_GRPC, at_least
from gitdeploy.engine.credentials import TOKEN
from gitdeploy.engine.dial import Endpoint, Headers, hang_up, one_by_one, upgrade
from gitdeploy.engine.protobuf import Message
from gitdeploy.engine.tunnel import SESSION, tunnel
from gitdeploy.engine.types import Credentials
from gitdeploy.errors import BuildFailed, EngineError, GitdeployError

HEALTH = "/grpc.health.v1.Health/Check"
CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"

OK, UNKNOWN, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED = 0, 2, 5, 8, 12  # https://grpc.io/docs/guides/status-codes/

HUB_HOST = "registry-1.docker.io"
"""What BuildKit calls Docker Hub."""

BUILDKITS_OWN = ("HTTP_AUTH_", "GIT_AUTH_")
"""Beginnings of the names of secrets that BuildKit asks for whether a Dockerfile names them or not."""

LARGEST_REQUEST = 16 * 1024
"""Bytes of a request; real ones hold a host or a name."""

LOST = "the Docker Engine ended its session with the build, in which it asks for logins and secrets"

CHUNK = 64 * 1024


@dataclass(frozen=True)
class SessionAnswer:
    """What a method returns.

    Attributes:
        status: of gRPC.
        body: a Protocol Buffers message, for status OK.
        reason: for other statuses.
    """

    status: int
    body: bytes = b""
    reason: str = ""


@dataclass(frozen=True)
class Service:
    """What the session gives out.

    Attributes:
        secrets: by the id that a Dockerfile names them with.
        missing: told the ids of secrets that a Dockerfile wants and nobody configured.
    """

    credentials: Credentials
    secrets: Mapping[str, bytes] = field(repr=False)
    missing: Callable[[str], object]

    def answer(self, method: str, request: bytes) -> SessionAnswer:
        """Return the answer to one unary call."""
        if method == HEALTH:
            return SessionAnswer(OK, b"\x08\x01")  # status: SERVING
        try:
            name = Message(request).text(1)
        except protobuf.Malformed as error:
            return SessionAnswer(UNKNOWN, reason=f"not a message: {error}")
        if method == CREDENTIALS:
            login = self.credentials(HUB if name == HUB_HOST else name)
            return SessionAnswer(OK, _login(*login) if login else b"")
        if method == SECRET:
            if name in self.secrets:
                return SessionAnswer(OK, protobuf.field(1, self.secrets[name]))
            if not name.startswith(BUILDKITS_OWN):
                self.missing(name)
            return SessionAnswer(NOT_FOUND, reason=f"secret {name}: not found")
        return SessionAnswer(UNIMPLEMENTED, reason=f"unknown method {method}")


class Session:
    """A running session.

    Attributes:
        id: to be named in the request for a build.
    """

    def __init__(self, connection: socket.socket, service: Service, session_id: str) -> None:
        self.id = session_id
        self._error: GitdeployError | None = None
        self._lost = False
        self._socket = connection
        self._service = service
        self._http = H2Connection(H2Configuration(client_side=False))
        self._calls: dict[int, tuple[str, bytearray]] = {}  # stream → method, request so far
        self._waiting: dict[int, bytes] = {}  # stream → what the engine has not made room for yet
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="session", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what could not be answered, for example because a credential helper is broken; BuildFailed if it was ended."""
        if self._error:
            raise self._error
        if self._lost:
            raise BuildFailed(LOST, hint="push again; if it stays so, the engine's log may say why")

    def close(self) -> None:
        """End it and wait for its thread."""
        self._closing = True
        hang_up(self._socket)
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError, ProtocolError):
            self._http.initiate_connection()
            self._socket.sendall(self._http.data_to_send())
            while data := self._socket.recv(CHUNK):
                for event in self._http.receive_data(data):
                    # The engine may have taken the question back, and even have asked the next one, before this answer.
                    with contextlib.suppress(StreamClosedError, StreamIDTooLowError):
                        self._handle(event)
                self._send_waiting()
                self._socket.sendall(self._http.data_to_send())
        self._lost = not self._closing
        hang_up(self._socket)

    def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived) and event.stream_id is not None:
            method = bytes(dict(event.headers or ())[b":path"]).decode("latin-1")
            self._calls[event.stream_id] = (method, bytearray())
        elif isinstance(event, DataReceived) and event.stream_id is not None:
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            if event.stream_id in self._calls and len(self._calls[event.stream_id][1]) <= LARGEST_REQUEST:
                self._calls[event.stream_id][1].extend(event.data or b"")
        elif isinstance(event, StreamEnded) and event.stream_id in self._calls:
            self._reply(event.stream_id, *self._calls.pop(event.stream_id))
        elif isinstance(event, StreamReset) and event.stream_id is not None:
            self._calls.pop(event.stream_id, None)
            self._waiting.pop(event.stream_id, None)

    def _reply(self, stream: int, method: str, framed: bytearray) -> None:
        answer = self._answer(method, framed)
        headers = [(":status", "200"), ("content-type", "application/grpc")]
        if answer.status != OK:
            reason = quote(answer.reason, safe=" /:,.-_")
            headers += [("grpc-status", str(answer.status)), ("grpc-message", reason)]
            self._http.send_headers(stream, headers, end_stream=True)
            return
        self._http.send_headers(stream, headers)
        self._waiting[stream] = struct.pack(">BI", 0, len(answer.body)) + answer.body

    def _answer(self, method: str, framed: bytearray) -> SessionAnswer:
        """gRPC's frame is one byte, 1 for compressed, and the message's length; the engine does not compress."""
        if len(framed) > LARGEST_REQUEST:
            return SessionAnswer(EXHAUSTED, reason="the request is too large")
        if len(framed) < 5 or framed[0] or len(framed) != 5 + struct.unpack(">I", framed[1:5])[0]:
            return SessionAnswer(UNIMPLEMENTED, reason="not one whole uncompressed message")
        try:
            return self._service.answer(method, bytes(framed[5:]))
        except GitdeployError as error:
            self._error = error
            return SessionAnswer(UNKNOWN, reason=error.reason)

    def _send_waiting(self) -> None:
        """Send as much of the answers, the shortest first, as the engine has room for; it makes more by WINDOW_UPDATE."""
        for stream in sorted(self._waiting, key=lambda stream: len(self._waiting[stream])):
            while (rest := self._waiting[stream]) and (room := self._room(stream)) > 0:
                self._http.send_data(stream, rest[:room])
                self._waiting[stream] = rest[room:]
            if not rest:
                del self._waiting[stream]
                self._http.send_headers(stream, [("grpc-status", str(OK))], end_stream=True)

    def _room(self, stream: int) -> int:
        return min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size)


@contextlib.contextmanager
def open_session(where: Endpoint, service: Service) -> Iterator[Session]:
    """Yield a session with the engine, for the time of a build.

    Raises EngineError if the engine refuses it, and UnfitError if the engine cannot be reached.
    """
    session_id = secrets.token_hex(16)
    with _connected(where, session_id) as connection, contextlib.closing(Session(connection, service, session_id)) as session:
        yield session


@contextlib.contextmanager
def _connected(where: Endpoint, session_id: str) -> Iterator[socket.socket]:
    """Yield a connection for a session, by POST /session; where that is gone, in BuildKit's own way, if the engine has it."""
    headers: Headers = {
        "X-Docker-Expose-Session-Uuid": session_id,
        "X-Docker-Expose-Session-Name": "gitdeploy",
        "X-Docker-Expose-Session-Grpc-Method": (HEALTH, CREDENTIALS, SECRET),
    }
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(upgrade(where, "/session", headers))
        except EngineError as refusal:
            if not at_least(where.api_version, NATIVE_GRPC):
                raise
            try:
                connection = stack.enter_context(tunnel(where, SESSION, one_by_one(headers)))
            except EngineError:
                raise refusal from None
        yield connection


def _login(user: str, password: str) -> bytes:
    """CredentialsResponse; an identity token goes as the password of nobody."""
    return protobuf.field(1, b"" if user == TOKEN else user.encode()) + protobuf.field(2, password.encode())
