"""`python -m tests.support.played_command PLAY [-i] [-t]`: a command that is played by a function, attended by this process.

What the engine would be told is printed on stderr.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable

from gitdeploy.terminal.attending import attend

PATIENCE = 0.5


class PlayedSession:
    """A `protocol.CommandSession` whose command is a thread."""

    def __init__(self, play: Callable[[PlayedSession, socket.socket], int], *, deaf: bool) -> None:
        self._ours, theirs = socket.socketpair()
        self.told = ""
        self._code: int | None = None
        self._ended = threading.Event()
        self._deaf = deaf

        def run() -> None:
            with theirs:
                self._code = play(self, theirs)
            self._ended.set()

        threading.Thread(target=run, daemon=True).start()

    def fileno(self) -> int:
        return self._ours.fileno()

    def receive(self) -> list[tuple[int, bytes]] | None:
        data = self._ours.recv(65536)
        return [(1, data)] if data else None

    def send(self, data: bytes) -> int:
        try:
            return self._ours.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def end_input(self) -> None:
        self._ours.shutdown(socket.SHUT_WR)

    def resize(self, rows: int, columns: int) -> None:
        self._tell(f"size {rows}x{columns}")

    def signal(self, name: str) -> bool:
        self._tell(f"signal {name}")
        return not self._deaf

    def _tell(self, text: str) -> None:
        os.write(2, f"{text}\n".encode())
        self.told += text

    def exit_code(self, patience: float) -> int | None:
        return self._code if self._ended.wait(patience) else None


def echo(session: PlayedSession, connection: socket.socket) -> int:
    """Gives back what it gets, until that ends."""
    while data := connection.recv(65536):
        connection.sendall(data)
    return 3


def keys(session: PlayedSession, connection: socket.socket) -> int:
    """Shows each key until q."""
    connection.sendall(b"ready\r\n")
    while (key := connection.recv(1)) != b"q":
        connection.sendall(f"{key!r}\r\n".encode())
    return 0


def stubborn(session: PlayedSession, connection: socket.socket) -> int:
    """Ends when it is killed."""
    connection.sendall(b"ready\n")
    while "KILL" not in session.told:
        time.sleep(0.01)
    return 137


def polite(session: PlayedSession, connection: socket.socket) -> int:
    """Ends at a signal, with a word."""
    connection.sendall(b"ready\n")
    while "signal" not in session.told:
        time.sleep(0.01)
    connection.sendall(b"bye\n")
    return 5


def silent(session: PlayedSession, connection: socket.socket) -> int:
    """Says that it has nothing more to say, and ends at a signal."""
    connection.sendall(b"ready\n")
    connection.shutdown(socket.SHUT_RDWR)
    while "signal" not in session.told:
        time.sleep(0.01)
    return 5


def flood(session: PlayedSession, connection: socket.socket) -> int:
    """Says more than anybody reads, until a signal comes."""
    while "signal" not in session.told:
        connection.sendall(b"x" * 65536)
    return 6


if __name__ == "__main__":
    played = PlayedSession(globals()[sys.argv[1]], deaf="--deaf" in sys.argv)
    sys.exit(
        attend(
            played,
            terminal="-t" in sys.argv,
            interactive="-i" in sys.argv,
            patience=PATIENCE,
            note=lambda text: print(text, file=sys.stderr, flush=True),
        )
    )
