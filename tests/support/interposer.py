"""Stands between gitdeploy and the engine, to refuse some requests and to cut some connections."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 64 * 1024


@dataclass
class Interposer:
    """A Unix socket that forwards to another.

    Attributes:
        url: for DOCKER_HOST.
        refused: part of a path → the whole answer to requests with it.
        seen: the first line of each connection's first request.
    """

    url: str
    engine: str
    refused: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    open: list[tuple[str, tuple[socket.socket, socket.socket]]] = field(default_factory=list)

    def cut(self, path: str) -> int:
        """Breaks the connections whose first request has `path` in it; returns how many they were."""
        found = [pair for line, pair in self.open if path in line]
        for pair in found:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        return len(found)

    def accept(self, listener: socket.socket) -> None:
        """Serves until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """Serves one connection."""
        with client, contextlib.suppress(OSError):
            first = client.recv(CHUNK)
            line = first.partition(b"\r\n")[0].decode("latin-1")
            self.seen.append(line)
            for path, answer in self.refused.items():
                if path in line:
                    client.sendall(answer)
                    return
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(self.engine)
                engine.sendall(first)
                self.open.append((line, (client, engine)))
                back = threading.Thread(target=copy, args=(engine, client), daemon=True)
                back.start()
                copy(client, engine)
                back.join()
                self.open = [entry for entry in self.open if entry[1] != (client, engine)]


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copies until the end, and passes the end on."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def interpose(engine_url: str, directory: Path) -> Iterator[Interposer]:
    """An interposer before the engine, its socket in `directory`."""
    path = directory / "interposer.sock"
    interposer = Interposer(f"unix://{path}", engine_url.removeprefix("unix://"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=interposer.accept, args=(listener,), daemon=True).start()
        yield interposer
        interposer.cut("")
        listener.shutdown(socket.SHUT_RDWR)
