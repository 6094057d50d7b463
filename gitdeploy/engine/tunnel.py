"""A gRPC call in which both sides send bytes, as a plain connection: how BuildKit's session is opened without POST /session.

That endpoint and POST /grpc, which upgrade a connection, are deprecated since API 1.53. An engine since API 1.52 speaks HTTP/2
on its own address, too (with prior knowledge, or by ALPN over TLS), and serves BuildKit's Control service there, whose method
Session carries the connection in BytesMessage {1: bytes}. Source: moby/buildkit, api/services/control/control.proto and
session/grpchijack.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from gitdeploy.engine import protobuf
from gitdeploy.engine.dial import TIMEOUT, Endpoint, dial, hang_up
from gitdeploy.errors import EngineError

SESSION = "/moby.buildkit.v1.Control/Session"

OVERHEAD = 16
"""Bytes that a message adds to what it carries, at most: gRPC's frame, the field's tag and its length."""

CHUNK = 64 * 1024


@contextlib.contextmanager
def tunnel(where: Endpoint, method: str, headers: Sequence[tuple[str, str]]) -> Iterator[socket.socket]:
    """Yield a connected socket for one call of a method, "/package.Service/Method", with these headers.

    Raises EngineError if what answers does not speak gRPC or has no such method, UnfitError if the engine cannot be reached.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs, dial(where, http2=True) as outside:
        call = _Call(outside, theirs, method)
        call.begin(headers)
        thread = threading.Thread(target=call.relay, name="tunnel", daemon=True)
        thread.start()
        try:
            yield ours
        finally:
            hang_up(theirs)
            hang_up(outside)
            thread.join()


class _Call:
    """One call, and the relay between it and a socket."""

    def __init__(self, outside: socket.socket, inside: socket.socket, method: str) -> None:
        self._outside, self._inside, self._method = outside, inside, method
        self._http = H2Connection(H2Configuration())
        self._stream = 1
        self._answered = self._ended = False
        self._received = bytearray()

    def begin(self, headers: Sequence[tuple[str, str]]) -> None:
        """Send the call and wait for the engine's answer to it, for TIMEOUT seconds at most: the engine speaks first."""
        refused = EngineError(f"the Docker Engine does not serve {self._method} over HTTP/2")
        own = [(":method", "POST"), (":scheme", "http"), (":authority", "docker"), (":path", self._method)]
        self._http.initiate_connection()
        own += [("content-type", "application/grpc"), ("te", "trailers")]
        self._http.send_headers(self._stream, [*own, *((name.lower(), value) for name, value in headers)])
        end = time.monotonic() + TIMEOUT
        try:
            self._outside.sendall(self._http.data_to_send())
            while not self._answered and not self._ended:
                self._outside.settimeout(max(end - time.monotonic(), 0.001))
                if not (data := self._outside.recv(CHUNK)):
                    raise refused
                self._take(data)
            self._outside.settimeout(None)
        except (OSError, ProtocolError) as error:
            raise refused from error
        if not self._answered:
            raise refused

    def relay(self) -> None:
        """Copy both ways until either side ends."""
        with contextlib.suppress(OSError, ProtocolError, protobuf.Malformed):
            self._deliver()
            while not self._ended:
                room = self._room()
                ready, _, _ = select.select([self._outside, *([self._inside] if room > 0 else [])], [], [])
                if self._outside in ready:
                    if not (data := self._outside.recv(CHUNK)):
                        break
                    self._take(data)
                    self._deliver()
                elif not self._send(self._inside.recv(room)):
                    break
        hang_up(self._inside)

    def _room(self) -> int:
        """Return how many bytes the engine takes now; it makes more room by WINDOW_UPDATE."""
        window = self._http.local_flow_control_window(self._stream)
        return min(window, self._http.max_outbound_frame_size, CHUNK) - OVERHEAD

    def _send(self, data: bytes) -> bool:
        """Send it as one message; return False if there is nothing more to send."""
        if not data:
            return False
        message = protobuf.field(1, data)
        self._http.send_data(self._stream, struct.pack(">BI", 0, len(message)) + message)
        self._outside.sendall(self._http.data_to_send())
        return True

    def _take(self, data: bytes) -> None:
        for event in self._http.receive_data(data):
            self._handle(event)
        self._outside.sendall(self._http.data_to_send())

    def _handle(self, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            found = dict(event.headers or ())
            self._answered = found.get(b":status") == b"200" and b"grpc-status" not in found
            self._ended = not self._answered
        elif isinstance(event, DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, self._stream)
            self._received += event.data or b""
        elif isinstance(event, StreamEnded | StreamReset | ConnectionTerminated):
            self._ended = True

    def _deliver(self) -> None:
        """Pass on the content of the messages that are whole. gRPC's frame is one byte, 1 for compressed, and the length."""
        while len(self._received) >= 5:
            compressed, length = struct.unpack(">BI", self._received[:5])
            if compressed:
                raise protobuf.Malformed("a compressed message")
            if len(self._received) < 5 + length:
                return
            message = protobuf.Message(bytes(self._received[5 : 5 + length]))
            del self._received[: 5 + length]
            self._inside.sendall(message.data(1))
