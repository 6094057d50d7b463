"""Programs on a real terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
PATIENCE = 20.0


@dataclass
class Terminal:
    """A terminal and the program on it.

    Attributes:
        shown: all that the terminal has shown.
    """

    fd: int
    program: subprocess.Popen[bytes]
    shown: bytes = field(default=b"")

    def expect(self, text: bytes) -> None:
        """Reads until the terminal shows this, behind what was expected before."""
        end = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < end, f"waiting for {text!r}, found {self.shown!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.fd, 65536)
                except OSError:
                    raise AssertionError(f"it ended without {text!r}: {self.shown!r}") from None
        self.shown = self.shown.partition(text)[2]

    def type(self, keys: bytes) -> None:
        """Types keys."""
        os.write(self.fd, keys)

    def resize(self, rows: int, columns: int) -> None:
        """Gives the terminal another size; the kernel tells the program."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def cooked(self) -> bool:
        """Whether the terminal is in the mode that a shell has it in."""
        return bool(termios.tcgetattr(self.fd)[3] & termios.ICANON)

    def wait(self) -> int:
        """Waits for the program's end; returns its exit status."""
        end = time.monotonic() + PATIENCE
        while self.program.poll() is None and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self.shown += os.read(self.fd, 65536)
        return self.program.wait(1)


@contextlib.contextmanager
def on_a_terminal(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """A program on a terminal of 30 rows and 100 columns, which is the program's controlling one."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    program = subprocess.Popen(
        ["setsid", "--ctty", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environ,
        cwd=CHECKOUT,
    )
    try:
        yield Terminal(ours, program)
    finally:
        if program.poll() is None:
            program.send_signal(signal.SIGKILL)
            program.wait()
        os.close(theirs)
        os.close(ours)
