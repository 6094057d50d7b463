"""An engine that is played by a function, to do what no good engine does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gitdeploy.engine.dial import Endpoint

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of HTTP's chunked encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Server:
    """What one connection brings.

    Attributes:
        where: its address.
    """

    where: Endpoint
    received: bytearray = field(default_factory=bytearray)

    def read(self, connection: socket.socket, until: bytes) -> None:
        """Reads until these bytes were received, or the end."""
        while until not in self.received:
            data = connection.recv(65536)
            if not data:
                return
            self.received += data


Play = Callable[[Server, socket.socket], None]


@contextlib.contextmanager
def served(directory: Path, play: Play) -> Iterator[Server]:
    """Serves one connection with `play`, on a socket in `directory`; waits for its end."""
    path = directory / "engine.sock"
    server = Server(Endpoint("unix:///engine", "1.41", "unix", str(path)))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                play(server, connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        thread.join(10)
        assert not thread.is_alive()


def answering(*pieces: bytes, after: bytes = END) -> Play:
    """Sends these pieces once the request has come to `after`."""

    def play(server: Server, connection: socket.socket) -> None:
        server.read(connection, after)
        for piece in pieces:
            connection.sendall(piece)

    return play
