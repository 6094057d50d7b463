"""A person's end of a command: its output to stdout and stderr, their input and their signals to it, until it has ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from gitdeploy.engine.protocol import CommandSession

CHUNK = 64 * 1024

STOPS = {signal.SIGINT: "INT", signal.SIGTERM: "TERM", signal.SIGHUP: "HUP", signal.SIGQUIT: "QUIT"}
"""Signals that are passed on to the command, by the names that engines know them by."""

LOOK = 0.1
"""Seconds between two looks for signals once the command says nothing more."""


class Abandoned(SystemExit):
    """The command cannot be stopped from here, and whoever ran it wants to go. Its code is that of a shell for the signal."""


def attend(session: CommandSession, *, terminal: bool, interactive: bool, patience: float, note: Callable[[str], None]) -> int:
    """Stay with a command until it has ended; return its exit code.

    Args:
        terminal: whether it has a terminal, the size of which follows that of ours.
        interactive: whether it gets our input; with a terminal, each key as it is pressed.
        patience: seconds that it gets between the first signal to stop and SIGKILL.
        note: tells the person something.

    Raises:
        Abandoned: it was to be stopped, and takes no signals.
        BrokenPipeError: nobody reads its output any more.
        UnfitError: the engine has gone.
    """
    with _Signals() as signals, _raw() if terminal and interactive else contextlib.nullcontext():
        passing_on = _PassingOn(session, signals, patience, note)
        if terminal:
            passing_on.size()
        _Talk(session, passing_on).follow(interactive=interactive)
        while (code := session.exit_code(LOOK)) is None:
            passing_on.signals()
    return code


def heeded(*numbers: signal.Signals) -> list[signal.Signals]:
    """Return those signals that whoever started us did not have ignored, as nohup and a shell's background do."""
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


def leave_on_signals() -> None:
    """Have SIGTERM and SIGHUP end this process as an exception does, so that what has begun is undone on the way out."""
    for number in heeded(signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def terminal_size() -> tuple[int, int]:
    """Return rows and columns of the terminal that our input comes from, (0, 0) if it is none."""
    try:
        columns, rows = os.get_terminal_size(0)
    except OSError:
        return 0, 0
    return rows, columns


class _Signals:
    """Keeps signals from doing anything by themselves, and hands them out instead."""

    def __enter__(self) -> _Signals:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = {number: signal.signal(number, lambda *_: None) for number in heeded(*STOPS, signal.SIGWINCH)}
        self._woken = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.set_wakeup_fd(self._woken)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reading)
        os.close(self._writing)

    def fileno(self) -> int:
        """Return what is readable when a signal has come."""
        return self._reading

    def taken(self) -> bytes:
        """Return the numbers of the signals that have come since the last call."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._reading, CHUNK)
        return b""


@contextmanager
def _raw() -> Iterator[None]:
    """Hand out each key as it is pressed, Ctrl-C and the like too; the terminal is as it was when this leaves."""
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSADRAIN)  # not TCSAFLUSH: what was typed ahead is for the command
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


class _PassingOn:
    """Passes signals on to a command, and kills one that does not stop."""

    def __init__(self, session: CommandSession, signals: _Signals, patience: float, note: Callable[[str], None]) -> None:
        self.fd = signals.fileno()
        self._session, self._signals, self._patience, self._note = session, signals, patience, note
        self._kill_at: float | None = None

    def signals(self) -> None:
        """Pass on what has come; call it at least now and then."""
        for number in self._signals.taken():
            if number == signal.SIGWINCH:
                self.size()
            elif number in STOPS:
                self._stop(signal.Signals(number))
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._kill_at = time.monotonic() + self._patience
            self._session.signal("KILL")

    def size(self) -> None:
        """Give the command's terminal the size of ours."""
        rows, columns = terminal_size()
        if rows and columns:
            self._session.resize(rows, columns)

    def _stop(self, number: signal.Signals) -> None:
        if self._kill_at is not None:
            self._kill_at = time.monotonic()
        elif self._session.signal(STOPS[number]):
            self._kill_at = time.monotonic() + self._patience
            self._note(f"{number.name} is passed on; the command has {self._patience:g} s to end, the next signal kills it")
        else:
            self._note("the command may run on: without a terminal (-it), nothing can be sent to it from here")
            raise Abandoned(128 + number)


class _Talk:
    """Copies both ways until the command says nothing more."""

    def __init__(self, session: CommandSession, passing_on: _PassingOn) -> None:
        self._session, self._passing_on = session, passing_on
        self._given = b""  # input that the command has not taken yet

    def follow(self, *, interactive: bool) -> None:
        """Copy all output, and our input if it is to be."""
        listening = interactive
        while True:
            self._passing_on.signals()
            ready = self._wait(listening)
            if ready.get(self._session.fileno(), 0) & ~select.POLLOUT and not self._show():
                return
            if ready.get(0):
                listening = self._hear()
            if self._given:
                self._given = self._given[self._session.send(self._given) :]
            if interactive and not listening and not self._given:
                interactive = False
                self._session.end_input()

    def _wait(self, listening: bool) -> dict[int, int]:
        poll = select.poll()
        poll.register(self._passing_on.fd, select.POLLIN)
        poll.register(self._session, select.POLLIN | (select.POLLOUT if self._given else 0))
        if listening and not self._given:
            poll.register(0, select.POLLIN)
        return dict(poll.poll(LOOK * 1000))

    def _hear(self) -> bool:
        """Take input; return False at its end."""
        try:
            self._given = os.read(0, CHUNK)
        except OSError:  # the terminal has gone, or there never was an input
            self._given = b""
        return bool(self._given)

    def _show(self) -> bool:
        """Show what has come; return False if that was all."""
        pieces = self._session.receive()
        for fd, data in pieces or ():
            self._write(fd, data)
        return pieces is not None

    def _write(self, fd: int, data: bytes) -> None:
        """Write all of it. Signals are passed on while nobody reads."""
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        poll.register(self._passing_on.fd, select.POLLIN)
        while data:
            ready = dict(poll.poll(LOOK * 1000))
            self._passing_on.signals()
            if ready.get(fd):
                data = data[os.write(fd, data[: select.PIPE_BUF]) :]
