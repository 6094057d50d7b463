"""The pusher's end of the console: a FIFO that a hook (or the command line) reads, written without ever waiting for it.

A pusher may read slowly, stop reading, or go away; a deployment never notices. What does not fit is skipped and said so.

Over HTTP, a Git server in Go passes output on when its buffers are full: 2 KB of the response and 4 KB of the connection
(net/http, bufferBeforeChunkingSize and newBufioWriterSize). So each burst of lines is followed by enough zero bytes to push it
through. The pusher sees none of them: git-receive-pack packs what a hook prints in pieces of 128 bytes (copy_to_sideband), and
git shows a piece up to its first zero byte (demultiplex_sideband). Lines therefore begin at a multiple of 128.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import threading
from collections import deque

BACKLOG = 1_000_000
"""Bytes kept for a slow reader."""

FLUSH_TIMEOUT = 5.0
"""Seconds that closing waits for a slow reader."""


PIECE = 128
"""Bytes that git-receive-pack reads from a hook and packs at a time."""

FILLING = 48 * PIECE
"""Zero bytes that push a line through both buffers."""

BURST = 0.2
"""Seconds between two bursts of lines that are pushed through: what comes meanwhile shares the filling."""


class Relay:
    """Writes text to one FIFO from a thread of its own. Never raises and never blocks, except `close`, for a bounded time."""

    def __init__(self, fd: int, *, held_back: bool = False, announce: bool = True) -> None:
        """Take the FIFO's descriptor; with -1 the relay is closed from the start.

        Args:
            held_back: whether output is to be pushed through the buffers of a Git server.
            announce: whether nothing was written there before.
        """
        self._held_back = held_back
        self._announce = announce
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._skipped = 0
        self._closing = False
        self._ready = threading.Condition()
        self._fd = fd
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
        """Send what is queued, as far as the reader takes it within FLUSH_TIMEOUT, and close."""
        if self._fd < 0:
            return
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join(FLUSH_TIMEOUT)

    def _run(self) -> None:
        try:
            if self._held_back and self._announce:
                self._write(b"\n")  # the hook reads it to know that a worker has come, and shows no empty line
            while data := self._next():
                self._write(data + filling(len(data)) if self._held_back else data)
                if self._held_back:
                    self._pause()
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

    def _pause(self) -> None:
        with self._ready:
            self._ready.wait_for(lambda: self._closing, BURST)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                select.select([], [self._fd], [])


def filling(size: int) -> bytes:
    """Zero bytes to follow so many bytes of text. Pure."""
    return bytes(-size % PIECE + FILLING)


def open_fifo(name: str, directory: int) -> int:
    """Return a descriptor to write to a FIFO with, without waiting; -1 if nobody reads it, or it is no FIFO.

    `directory`: the descriptor of the one that it is in.
    """
    with contextlib.suppress(OSError):
        fd = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
    return -1
