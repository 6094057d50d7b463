"""BuildKit's session: the engine calls its client back, by gRPC on a connection that the client opened.

On that connection, an upgraded POST /session or a tunnel, the roles are swapped: this side is the HTTP/2 server. One thread
reads and answers what is answered at once; each transfer of files has a thread of its own, which sends when there is room.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md; and `answering` for what is asked.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from urllib.parse import quote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError, StreamClosedError, StreamIDTooLowError

from gitdeploy.engine.answering import LARGEST_REQUEST, NOT_FOUND, OK, UNKNOWN, Service, SessionAnswer
from gitdeploy.engine.dial import hang_up
from gitdeploy.engine.filesync import DIFF_COPY, Ended, FileTransfer
from gitdeploy.engine.packets import FRAME
from gitdeploy.errors import BuildFailed, GitdeployError

LARGEST_HEADERS = 4 << 20
"""Bytes of a request's headers: the paths of all that a Dockerfile copies are there."""

LOST = "the Docker Engine ended its session with the build, in which it asks for logins, secrets and files"

LONGEST_REASON = 1000
"""Characters, of which each can take 18 bytes of a header."""

CHUNK = 64 * 1024

REPLY = [(":status", "200"), ("content-type", "application/grpc")]


class _Connection(H2Connection):
    DEFAULT_MAX_HEADER_LIST_SIZE = LARGEST_HEADERS


class Session:
    """A running session.

    Attributes:
        id: to be named in the request for a build.
    """

    def __init__(
        self, connection: socket.socket, service: Service, session_id: str, sent: Callable[[int], object] = lambda count: None
    ) -> None:
        """Take an upgraded connection, what answers, and what is told how many bytes of files are sent."""
        self.id = session_id
        self._error: GitdeployError | None = None
        self._lost = False
        self._socket = connection
        self._service = service
        self._sent = sent
        self._total = 0
        self._http = _Connection(H2Configuration(client_side=False))
        self._room = threading.Condition()
        """Held by whoever uses `_http` or writes to the socket; notified when something came in."""
        self._calls: dict[int, tuple[str, bytearray]] = {}  # stream → method, request so far
        self._waiting: dict[int, bytes] = {}  # stream → what the engine has not made room for yet
        self._transfers: dict[int, FileTransfer] = {}
        self._threads: list[FileTransfer] = []
        self._closing = self._over = False
        self._thread = threading.Thread(target=self._serve, name="session", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what could not be answered, for example because a credential helper is broken; BuildFailed if it was ended."""
        if self._error:
            raise self._error
        if self._lost:
            raise BuildFailed(LOST, hint="push again; if it stays so, the engine's log may say why")

    def close(self) -> None:
        """End it and wait for its threads."""
        self._closing = True
        hang_up(self._socket)
        self._thread.join()
        for transfer in self._threads:
            transfer.join()

    def _serve(self) -> None:
        try:
            with contextlib.suppress(OSError, ProtocolError):
                with self._room:
                    self._http.initiate_connection()
                    self._flush()
                while data := self._socket.recv(CHUNK):
                    with self._room:
                        self._take(data)
        finally:
            self._lost = not self._closing
            hang_up(self._socket)
            with self._room:
                self._over = True
                self._room.notify_all()
            for transfer in self._threads:
                transfer.end()

    def _take(self, data: bytes) -> None:
        for event in self._http.receive_data(data):
            # The engine may have taken the question back, and even have asked the next one, before this answer.
            with contextlib.suppress(StreamClosedError, StreamIDTooLowError):
                self._handle(event)
        self._send_waiting()
        self._flush()
        self._room.notify_all()

    def _flush(self) -> None:
        self._socket.sendall(self._http.data_to_send())

    def _handle(self, event: Event) -> None:
        stream = getattr(event, "stream_id", None) or 0
        if isinstance(event, RequestReceived):
            headers = [(bytes(name).decode("latin-1"), bytes(value)) for name, value in event.headers or ()]
            method = dict(headers).get(":path", b"").decode("latin-1")
            if method == DIFF_COPY and self._service.sources:
                self._begin(stream, headers)
            else:
                self._calls[stream] = (method, bytearray())
        elif isinstance(event, DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            if stream in self._transfers:
                self._transfers[stream].feed(event.data or b"")
            elif stream in self._calls and len(self._calls[stream][1]) <= LARGEST_REQUEST:
                self._calls[stream][1].extend(event.data or b"")
        elif isinstance(event, StreamEnded) and stream in self._calls:
            self._reply(stream, *self._calls.pop(stream))
        elif isinstance(event, StreamEnded) and stream in self._transfers:
            self._transfers[stream].feed_end()
        elif isinstance(event, StreamReset) and stream in self._transfers:
            self._transfers[stream].end()
        elif isinstance(event, StreamReset):
            self._calls.pop(stream, None)
            self._waiting.pop(stream, None)

    def _begin(self, stream: int, headers: Sequence[tuple[str, bytes]]) -> None:
        """Start a transfer of files."""
        options: dict[str, list[str]] = {}
        for name, value in headers:
            options.setdefault(name, []).append(value.decode("utf-8", "surrogateescape"))
        sources = self._service.sources
        files = sources and sources.files(options, lambda: self._over or stream not in self._transfers)
        if not files:
            reason = f"no access allowed to dir {', '.join(options.get('dir-name', ['']))}"
            self._refuse(stream, SessionAnswer(NOT_FOUND, reason=reason))
            return
        self._http.send_headers(stream, REPLY)
        transfer = FileTransfer(files, lambda data: self._send(stream, data), lambda transfer: self._end(stream, transfer))
        self._transfers[stream] = transfer
        self._threads.append(transfer)
        transfer.start()

    def _send(self, stream: int, data: bytes) -> None:
        """Send a part of a transfer, from its thread, as the engine makes room. Raises Ended when it hears no more."""
        view, transfer = memoryview(data), self._transfers[stream]
        with self._room:
            while view:
                if self._over or transfer.ended or transfer.error:
                    raise Ended
                sent = 0
                try:
                    while (room := self._window(stream)) > 0 and sent < len(view):
                        part = view[sent : sent + room]
                        self._http.send_data(stream, bytes(part))
                        sent += len(part)
                    self._flush()
                except (OSError, ProtocolError):
                    raise Ended from None
                view = view[sent:]
                if not sent:
                    self._room.wait()
        self._total += len(data)
        self._sent(self._total)

    def _end(self, stream: int, transfer: FileTransfer) -> None:
        """Take the end of a transfer, from its thread."""
        with self._room, contextlib.suppress(OSError, ProtocolError):
            del self._transfers[stream]
            self._error = self._error or transfer.error
            if not self._over:
                trailers = _trailers(UNKNOWN, transfer.error.reason) if transfer.error else _trailers(OK)
                self._http.send_headers(stream, trailers, end_stream=True)
                self._flush()

    def _reply(self, stream: int, method: str, framed: bytearray) -> None:
        answer = self._service.answer_framed(method, framed)
        self._error = answer.error or self._error
        if answer.status != OK:
            self._refuse(stream, answer)
            return
        self._http.send_headers(stream, REPLY)
        self._waiting[stream] = FRAME.pack(0, len(answer.body)) + answer.body

    def _refuse(self, stream: int, answer: SessionAnswer) -> None:
        self._http.send_headers(stream, [*REPLY, *_trailers(answer.status, answer.reason)], end_stream=True)

    def _send_waiting(self) -> None:
        """Send as much of the answers, the shortest first, as the engine has room for; it makes more by WINDOW_UPDATE."""
        for stream in sorted(self._waiting, key=lambda stream: len(self._waiting[stream])):
            while (rest := self._waiting[stream]) and (room := self._window(stream)) > 0:
                self._http.send_data(stream, rest[:room])
                self._waiting[stream] = rest[room:]
            if not rest:
                del self._waiting[stream]
                self._http.send_headers(stream, _trailers(OK), end_stream=True)

    def _window(self, stream: int) -> int:
        return min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size)


def _trailers(status: int, reason: str = "") -> list[tuple[str, str]]:
    """Return gRPC's status, and what is to be said about it."""
    message = [("grpc-message", quote(reason[:LONGEST_REASON], safe=" /:,.-_", errors="backslashreplace"))] if reason else []
    return [("grpc-status", str(status)), *message]
