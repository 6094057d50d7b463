"""The engine's end of a BuildKit session: an HTTP/2 client, as the engine is one."""

from __future__ import annotations

import socket
import struct
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, TrailersReceived

from gitdeploy.engine.session import Session


@dataclass
class Engine:
    """The engine's end of a session."""

    socket: socket.socket
    session: Session
    missing: list[str]
    http: H2Connection = field(default_factory=lambda: H2Connection(H2Configuration(header_encoding="utf-8")))
    headers: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    data: dict[int, bytes] = field(default_factory=lambda: defaultdict(bytes))
    ended: set[int] = field(default_factory=set)

    def start(self, method: str, body: bytes, *, end: bool = True, more: Sequence[tuple[str, str]] = ()) -> int:
        """Sends a request, with more headers, and returns its stream."""
        stream: int = self.http.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", method)]
        self.http.send_headers(stream, [*headers, ("content-type", "application/grpc"), ("te", "trailers"), *more])
        for start in range(0, len(body), 10_000):
            self.http.send_data(stream, body[start : start + 10_000])
        if end:
            self.http.end_stream(stream)
        self.flush()
        return stream

    def finish(self, stream: int) -> tuple[int, str, bytes]:
        """Reads until the stream's end; returns gRPC's status and message, and the answer."""
        while stream not in self.ended:
            received = self.socket.recv(65536)
            assert received, "the session ended"
            for event in self.http.receive_data(received):
                self.take(event)
            self.flush()
        headers = self.headers[stream]
        return int(headers["grpc-status"]), headers.get("grpc-message", ""), self.data[stream][5:]

    def take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            self.headers[event.stream_id or 0].update({str(name): str(value) for name, value in event.headers or ()})
        elif isinstance(event, DataReceived):
            self.data[event.stream_id or 0] += event.data or b""
            self.http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, StreamEnded):
            self.ended.add(event.stream_id or 0)

    def call(self, method: str, message: bytes) -> tuple[int, str, bytes]:
        return self.finish(self.start(method, framed(message)))

    def flush(self) -> None:
        self.socket.sendall(self.http.data_to_send())


def framed(message: bytes) -> bytes:
    return struct.pack(">BI", 0, len(message)) + message
