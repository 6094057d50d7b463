"""Starts the process that reads repositories, and talks to it: with a deadline, and as to somebody who may lie.

It is a new interpreter (execve), not a fork: nothing that this process knows is in its memory. All it inherits is one end of a
socket pair.
"""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gitdeploy
from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.source import frames
from gitdeploy.source.frames import HINT, BadFrame
from gitdeploy.source.text import printable

POLL = 0.1
"""Seconds between two looks whether the wait was cancelled."""

START = "import sys; sys.path += sys.argv[4:]; from gitdeploy.source.child import main; main(*sys.argv[1:4])"

MAX_TEXT = 5000
"""Characters of a failure's reason."""

Answer = Generator[bytes, None, dict[str, Any]]
"""The data of an answer; the message that ends it is what the generator returns."""

Cancel = Callable[[], bool]
"""Whether the wait is to end."""


@dataclass(frozen=True)
class Limits:
    """What one request may take.

    Attributes:
        wait: seconds until its answer goes on; the reader's own time for a chunk, never that of whoever takes it.
        cpu: seconds of processor time.
        size: bytes of the answer's data.
        file_size: bytes of a temporary file.
    """

    wait: float = 60.0
    cpu: int = 60
    size: int = 64 << 20
    file_size: int = 1 << 20


class Process:
    """One such process; `kill` ends it."""

    def __init__(self, temporary: str) -> None:
        """Start it, without waiting. Takes the directory for temporary files, "" for the system's. Raises StageFailed."""
        ours, theirs = socket.socketpair()
        places = dict.fromkeys([str(Path(gitdeploy.__file__).parent.parent), *_place_of("dulwich")])
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", START]
        command += [str(theirs.fileno()), str(os.getpid()), temporary, *places]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                env={},
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise StageFailed(f"the process that reads repositories cannot be started: {error.strerror}") from None
        finally:
            theirs.close()
        ours.setblocking(False)
        self._socket = ours
        self.owner = os.getpid()
        self._asked, self._answering = 0, False

    @property
    def idle(self) -> bool:
        """Whether it is alive and owes no answer: one that was not read to its end would be taken for the next."""
        return self.alive and not self._answering

    @property
    def alive(self) -> bool:
        """Whether it can be asked: nobody has ended it, nor was this process forked since."""
        return self._socket.fileno() >= 0 and self.owner == os.getpid() and self._process.poll() is None

    def kill(self) -> None:
        """End it at once."""
        self._socket.close()
        if self.owner == os.getpid() and self._process.returncode is None:
            self._process.kill()
            self._process.wait()

    def ask(self, request: Mapping[str, object], what: str, limits: Limits, cancelled: Cancel) -> tuple[dict[str, Any], bytes]:
        """Send a request and return its answer: the message and the data before it. Raises as `stream` does."""
        data = bytearray()
        answer = self.stream(request, what, limits, cancelled)
        while True:
            try:
                part = next(answer)
            except StopIteration as end:
                return end.value, bytes(data)
            data += part

    def stream(self, request: Mapping[str, object], what: str, limits: Limits, cancelled: Cancel) -> Answer:
        """Send a request; yield the data of its answer, and return the message at its end.

        Args:
            what: is being done, for messages: "reading commit 1234".

        Raises:
            StageFailed: what the reader says, or that it died, took too long, or answered nonsense.
            Cancelled: the wait was cancelled. After all of them but what the reader says itself, it is gone.
        """
        exchange = _Exchange(self._socket, limits, cancelled)
        done, unread, self._answering = False, self._answering, True
        try:
            if unread:
                raise BadFrame("an earlier one was not read to its end")
            self._asked += 1
            asked = {**request, "number": self._asked, "cpu": limits.cpu, "file_size": limits.file_size}
            exchange.send(frames.message(asked))
            message = yield from exchange.receive()
            if message.get("number") != asked["number"]:
                raise BadFrame("it is to another question")
            done, self._answering = True, False
        except _TooSlow:
            raise StageFailed(f"{what} took longer than {limits.wait:.0f} s", HINT) from None
        except BadFrame as bad:
            raise StageFailed(f"{what} failed: the reader's answer is none ({bad})", HINT) from None
        except (OSError, EOFError):
            raise StageFailed(f"{what} {self._death(limits)}", HINT) from None
        finally:
            if not done:
                self.kill()
        return self._checked(message, what)

    def _death(self, limits: Limits) -> str:
        """Return how it ended, as a part of a sentence."""
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "failed: the reader closed its connection"
        if status == -signal.SIGXCPU:
            return f"needed more than {limits.cpu} s of processor time"
        if status == -signal.SIGBUS:
            return "failed: a file was cut off while it was read"
        if status < 0:
            return f"failed: the reader was ended by signal {-status}"
        return f"failed: the reader ended with status {status}"

    def _checked(self, message: dict[str, Any], what: str) -> dict[str, Any]:
        """Return a message that is no failure; raises StageFailed for one that is."""
        if message.get("memory"):
            self.kill()
            raise StageFailed(f"{what} needed more memory than it may have ({MEMORY})", HINT)
        for key in ("failed", "defect"):
            if key not in message:
                continue
            told = printable(str(message[key])[:MAX_TEXT])
            if key == "defect":
                raise StageFailed(f"{what} failed in gitdeploy itself ({told})", "please report it")
            raise StageFailed(told, printable(str(message.get("hint", ""))[:MAX_TEXT]))
        return message


MEMORY = "512 MiB"


class _TooSlow(Exception):
    pass


class _Exchange:
    """A request and its answer on a socket that does not block."""

    def __init__(self, connection: socket.socket, limits: Limits, cancelled: Cancel) -> None:
        self._socket = connection
        self._limits = limits
        self._cancelled = cancelled
        self._poll = select.poll()

    def send(self, data: bytes) -> None:
        left = memoryview(data)
        deadline = time.monotonic() + self._limits.wait
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)

    def receive(self) -> Answer:
        """Yield the data frames of an answer and return its message."""
        size = 0
        while True:
            deadline = time.monotonic() + self._limits.wait
            kind, length = frames.head(self._exactly(frames.HEAD.size, deadline), frames.MAX_MESSAGE)
            data = self._exactly(length, deadline)
            if kind == frames.MESSAGE:
                return frames.read_message(data)
            size += length
            if size > self._limits.size:
                raise BadFrame("more data than was asked for")
            yield data

    def _exactly(self, size: int, deadline: float) -> bytes:
        parts: list[bytes] = []
        while size:
            try:
                part = self._socket.recv(size)
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _wait(self, event: int, deadline: float) -> None:
        """Wait until the socket is ready. Raises _TooSlow, Cancelled."""
        self._poll.register(self._socket, event)
        while True:
            left = deadline - time.monotonic()
            if self._cancelled():
                raise Cancelled("cancelled while the repository was read")
            if left <= 0:
                raise _TooSlow
            if self._poll.poll(1000 * min(left, POLL)):
                return


def _place_of(package: str) -> list[str]:
    """Return the directory that a package lies in, without importing it."""
    found = importlib.util.find_spec(package)
    return [str(Path(found.origin).parent.parent)] if found and found.origin else []
