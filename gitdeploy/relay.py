"""The pusher's end of the console: a FIFO that a hook (or the command line) reads, written without ever waiting for it.

A pusher may read slowly, stop reading, or go away; a deployment never notices. What does not fit is skipped and said so.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import threading
from collections import deque
from pathlib import Path

BACKLOG = 1_000_000
"""Bytes kept for a slow reader."""

FLUSH_TIMEOUT = 5.0
"""Seconds that closing waits for a slow reader."""


class Relay:
    """Writes text to one FIFO from a thread of its own. Never raises and never blocks, except `close`, for a bounded time."""

    def __init__(self, path: Path) -> None:
        """Opens the FIFO; without a reader, or if it is no FIFO, the relay is closed from the start."""
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._skipped = 0
        self._closing = False
        self._ready = threading.Condition()
        self._fd = _open_fifo(path)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        if self._fd >= 0:
            self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether somebody still reads."""
        return self._fd >= 0

    def send(self, text: str) -> None:
        """Queues text as it is (the caller adds the newline or carriage return)."""
        data = text.encode("utf-8", "replace")
        with self._ready:
            if self._fd < 0:
                return
            while self._queue and self._size + len(data) > BACKLOG:  # the newest lines matter most
                self._size -= len(self._queue.popleft())
                self._skipped += 1
            self._queue.append(data)
            self._size += len(data)
            self._ready.notify()

    def close(self) -> None:
        """Sends what is queued, as far as the reader takes it within FLUSH_TIMEOUT, and closes."""
        if self._fd < 0:
            return
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join(FLUSH_TIMEOUT)

    def _run(self) -> None:
        try:
            while data := self._next():
                self._write(data)
        except OSError:
            pass  # the pusher has gone
        finally:
            with self._ready:
                fd, self._fd = self._fd, -1
                self._queue.clear()
            os.close(fd)

    def _next(self) -> bytes:
        with self._ready:
            while not self._queue and not self._closing:
                self._ready.wait()
            note = f"… {self._skipped} lines skipped here, all are in the log\n".encode() if self._skipped else b""
            data = note + b"".join(self._queue)
            self._queue.clear()
            self._size = self._skipped = 0
            return data

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                select.select([], [self._fd], [])


def _open_fifo(path: Path) -> int:
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
    return -1
