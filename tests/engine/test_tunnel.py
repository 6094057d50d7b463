"""A gRPC call as a connection, with a server that plays the engine. test_build_faults.py builds through it on a real one."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, WindowUpdated

from gitdeploy.engine import tunnel as tunnels
from gitdeploy.engine.protobuf import Message, field
from gitdeploy.engine.tunnel import SESSION, tunnel
from gitdeploy.errors import EngineError
from tests.support.played_engine import Server, served

LARGE = bytes(range(256)) * 4000
"""1 MB, sixteen times what HTTP/2 lets pass at once."""

HEADERS = [("X-Docker-Expose-Session-Uuid", "u"), ("X-Method", "one"), ("X-Method", "two")]
OK = [(":status", "200"), ("content-type", "application/grpc")]

Answer = Callable[[H2Connection], None]


class Echo:
    """An engine that greets with b"hello" and sends back what comes in."""

    def __init__(self, answer: Answer) -> None:
        self.headers: list[tuple[str, str]] = []
        self._answer = answer
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._received, self._waiting = bytearray(), bytearray()

    def __call__(self, server: Server, connection: socket.socket) -> None:
        self._http.initiate_connection()
        connection.sendall(self._http.data_to_send())
        while data := connection.recv(65536):
            for event in self._http.receive_data(data):
                if isinstance(event, RequestReceived):
                    self.headers = [(str(name), str(value)) for name, value in event.headers or ()]
                    self._answer(self._http)
                elif isinstance(event, DataReceived):
                    self._http.acknowledge_received_data(event.flow_controlled_length or 0, 1)
                    self._received += event.data or b""
                    self._echo()
                elif isinstance(event, WindowUpdated):
                    self._flush()
            connection.sendall(self._http.data_to_send())

    def _echo(self) -> None:
        while len(self._received) >= 5 and len(self._received) >= 5 + struct.unpack(">I", self._received[1:5])[0]:
            end = 5 + struct.unpack(">I", self._received[1:5])[0]
            self._waiting += framed(Message(bytes(self._received[5:end])).data(1))
            del self._received[:end]
        self._flush()

    def _flush(self) -> None:
        while self._waiting and (room := min(self._http.local_flow_control_window(1), 16384)) > 0:
            self._http.send_data(1, bytes(self._waiting[:room]))
            del self._waiting[:room]


def framed(data: bytes) -> bytes:
    message = field(1, data)
    return struct.pack(">BI", 0, len(message)) + message


def greet(http: H2Connection) -> None:
    http.send_headers(1, OK)
    http.send_data(1, framed(b"hel"))
    http.send_data(1, framed(b"lo")[:3])  # a message may come in pieces
    http.send_data(1, framed(b"lo")[3:])


def read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.recv(65536)):
        data += piece
    return data


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    engine = Echo(greet)
    with served(tmp_path, engine) as server, tunnel(server.where, SESSION, HEADERS) as connection:
        assert read(connection, 5) == b"hello"
        writer = threading.Thread(target=connection.sendall, args=(LARGE,))
        writer.start()
        assert read(connection, len(LARGE)) == LARGE
        writer.join()
    assert (":path", "/moby.buildkit.v1.Control/Session") in engine.headers
    assert [value for name, value in engine.headers if name.startswith("x-")] == ["u", "one", "two"]
    assert {thread.name for thread in threading.enumerate()} & {"tunnel"} == set()


def refuse(http: H2Connection) -> None:
    http.send_headers(1, [*OK, ("grpc-status", "12"), ("grpc-message", "unknown service")], end_stream=True)


def not_found(http: H2Connection) -> None:
    http.send_headers(1, [(":status", "404")], end_stream=True)


def reset(http: H2Connection) -> None:
    http.reset_stream(1, ErrorCodes.REFUSED_STREAM)


@pytest.mark.parametrize("answer", [refuse, not_found, reset])
def test_an_engine_without_the_method(tmp_path: Path, answer: Answer) -> None:
    refusal = pytest.raises(EngineError, match="does not serve /moby")
    with served(tmp_path, Echo(answer)) as server, refusal, tunnel(server.where, SESSION, HEADERS):
        pass


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request", b""])
def test_an_engine_without_http2(tmp_path: Path, answer: bytes) -> None:
    def play(server: Server, connection: socket.socket) -> None:
        server.read(connection, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        connection.sendall(answer)

    with served(tmp_path, play) as server, pytest.raises(EngineError), tunnel(server.where, SESSION, HEADERS):
        pass


def test_an_engine_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "TIMEOUT", 0.2)
    with (
        served(tmp_path, Echo(lambda http: None)) as server,
        pytest.raises(EngineError),
        tunnel(server.where, SESSION, HEADERS),
    ):
        pass


def test_an_engine_that_ends_the_call(tmp_path: Path) -> None:
    def end(http: H2Connection) -> None:
        greet(http)
        http.send_headers(1, [("grpc-status", "0")], end_stream=True)

    with served(tmp_path, Echo(end)) as server, tunnel(server.where, SESSION, HEADERS) as connection:
        assert read(connection, 6) == b"hello"


@pytest.mark.parametrize("frame", [b"\x01" + framed(b"x")[1:], b"\x00\x00\x00\x00\x01\xff"])
def test_what_is_no_message_ends_it(tmp_path: Path, frame: bytes) -> None:
    def garble(http: H2Connection) -> None:
        http.send_headers(1, OK)
        http.send_data(1, frame)

    with served(tmp_path, Echo(garble)) as server, tunnel(server.where, SESSION, HEADERS) as connection:
        assert connection.recv(10) == b""
        with contextlib.suppress(OSError):
            connection.sendall(b"more")
