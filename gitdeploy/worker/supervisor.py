"""Starts one process for each app that has work, and another in its place when one dies.

Every app's deployment runs in a process of its own: a kill, a crash or a leak touches that app alone, and this parent, which
does next to nothing, is there to begin again at once. It holds the consoles open meanwhile, so that the pushers read on.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from gitdeploy.errors import GitdeployError
from gitdeploy.intake.bell import Ear
from gitdeploy.intake.push import PushRecord
from gitdeploy.intake.spool import Spool

BUSY = 75
"""Exit status of a child whose app another worker holds (sysexits.h, EX_TEMPFAIL)."""

STOPPED = 143
"""Exit status after a stop signal, as a shell would tell of SIGTERM: what waits is left for another worker."""

MAX_DEATHS = 3
"""How often an app's process is started again after it died."""

MAX_CHILDREN = 100
"""Apps that are worked for at the same time; more records than that are somebody's mischief, or can wait."""

WATCHER = ""
"""The watcher's name among the children, which bear their app's."""

RETRY = 30.0
"""Seconds after which a watching supervisor lets an app's process try again that failed, for want of an engine, say."""

RESTART = 1.0
"""Seconds between two starts of the watcher, should it die."""

MORE = 0.05
"""Seconds after which the spool is looked at again when there was too much in it for one look."""

IDLE = 0.5
"""Seconds after which a watching supervisor looks at the spool without being told to."""


class Supervisor:
    """Runs `child(app)` in a forked process for each app with work.

    Attributes:
        spool: where pushes wait.
        child: does the work of one app and returns the exit status; runs in the child.
        watcher: what runs in a process of its own as long as this one watches, None for nothing.
        alive: called again and again while this one watches.
        note: says a line to whoever looks after this machine.
    """

    def __init__(
        self,
        spool: Spool,
        child: Callable[[str], int],
        watcher: Callable[[], int] | None = None,
        alive: Callable[[], None] = lambda: None,
        note: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201
    ) -> None:
        self.spool = spool
        self.child = child
        self.watcher = watcher
        self.alive = alive
        self.note = note
        self._children: dict[int, str] = {}
        self._deaths: Counter[str] = Counter()
        self._looked_at: dict[str, frozenset[str]] = {}
        self._stopping = False
        self._failed = False
        self._failed_at: dict[str, float] = {}
        self._watched = float("-inf")
        self._noted: dict[str, str] = {}
        self._ear = Ear()

    def run(self, unfinished: frozenset[str], *, watch: bool) -> int:
        """Work until nothing waits, or, to watch, until a stop signal.

        Args:
            unfinished: apps whose last deployment was cut off, to be put right even if no push waits.
            watch: stay and wait for pushes; the hook rings the bell.

        Returns:
            the exit status: 0, 1 if the work of an app could not be done, STOPPED.
        """
        self._on_signals()
        if watch:
            with self._noting("the bell"):
                self._ear.open_bell(self.spool.shared)
        with self._noting("sweeping the spool"):
            for name in self.spool.sweep():
                self.note(f"the spool holds {name!r}, which gitdeploy does not write: look at it, and remove it")
        with self._noting("the spool"):
            self.spool.persist()
        self._start(set(unfinished))
        while True:
            if not self._stopping:
                with self._noting("the spool"):
                    self._start_waiting()
                if watch:
                    with self._noting("the processes"):
                        self._start(self._due())
                        self._start_watcher()
                        self.alive()
            if not self._children and (self._stopping or not watch):
                if self.spool.more and not self._stopping:
                    continue
                return self._status(watch)
            self._ear.wait(MORE if self.spool.more else IDLE if watch else None)
            died = self._reap(watch)
            with self._noting("the consoles"):
                self.spool.consoles.keep(self.spool.names())  # before a successor could inherit one whose push has ended
            self._start(died)

    @contextlib.contextmanager
    def _noting(self, about: str) -> Iterator[None]:
        """Run the block; whatever it raises is noted, once, and counts as a failure: the others' work goes on."""
        try:
            yield
        except Exception as error:
            reason = error.reason if isinstance(error, GitdeployError) else f"{type(error).__name__}: {error}"
            text = f"{about}: {reason}"
            if self._noted.get(about) != text:
                self._noted[about] = text
                self.note(text)
            self._failed = True

    def _start_waiting(self) -> None:
        """Start a child for each app with a waiting record that none has looked at yet."""
        records, bad = self.spool.pending()
        for name in bad:
            with contextlib.suppress(OSError):
                self.spool.set_aside(name)
        names: dict[str, set[str]] = {}
        for record in records:
            names.setdefault(record.app, set()).add(record.name)
        self._looked_at = {app: seen for app, seen in self._looked_at.items() if app in names}
        running = set(self._children.values())
        fresh = [app for app, waiting in names.items() if app not in running and not waiting <= self._looked(app)]
        free = max(0, MAX_CHILDREN - len(running))
        if len(fresh) > free:  # the others' turn comes when one has ended; nobody can push his to the front
            fresh = random.sample(fresh, free)
        self._looked_at |= {app: frozenset(names[app]) for app in fresh}
        self.spool.consoles.hold(record for record in records if record.app in running)
        self._start(set(fresh), records)

    def _looked(self, app: str) -> frozenset[str]:
        return self._looked_at.get(app, frozenset())

    def _start(self, apps: set[str], records: Sequence[PushRecord] | None = None) -> None:
        """Start a child for each app, whose consoles it inherits; `records` are those that wait, if they are at hand."""
        if apps:
            with self._noting("the consoles"):
                waiting = self.spool.pending()[0] if records is None else records
                self.spool.consoles.hold(record for record in waiting if record.app in apps)
        for app in sorted(apps):
            try:
                self._fork(app, partial(self.child, app))
            except OSError as error:  # no more processes, no more memory: later, perhaps
                self.note(f"{app}: no process can be started: {error.strerror}")
                self._failed = True
                self._failed_at[app] = time.monotonic()

    def _due(self) -> set[str]:
        """Apps whose process failed a while ago: it may do better now."""
        now = time.monotonic()
        due = {app for app, at in self._failed_at.items() if now - at >= RETRY}
        self._failed_at = {app: at for app, at in self._failed_at.items() if app not in due}
        return due - set(self._children.values())

    def _start_watcher(self) -> None:
        """Start the watcher if there is to be one and none runs, a moment after the last one at the earliest."""
        if self.watcher and WATCHER not in self._children.values() and time.monotonic() - self._watched >= RESTART:
            self._watched = time.monotonic()
            self._fork(WATCHER, self.watcher)

    def _fork(self, name: str, work: Callable[[], int]) -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(self._run_child(name, work))
        self._children[pid] = name
        if self._stopping:  # the signal may have come between the two
            os.kill(pid, signal.SIGTERM)

    def _run_child(self, name: str, work: Callable[[], int]) -> int:
        """In the child: signals as a plain process has them, its own app's consoles, then the work."""
        signal.set_wakeup_fd(-1)
        self.spool.consoles.keep_app(name)
        self.spool.on_done = self._ear.wake
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return work()
        except BaseException:
            return 1

    def _status(self, watch: bool) -> int:
        """Return the exit status, by which the hook knows whether any worker may yet open its console."""
        if self._stopping:
            return 0 if watch else STOPPED
        return 1 if self._failed else 0

    def _reap(self, watch: bool) -> set[str]:
        """Collect children that ended; return the apps to start again because theirs died."""
        died: set[str] = set()
        for pid in list(self._children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                continue
            app = self._children.pop(pid)
            if app == WATCHER:
                continue
            if not os.WIFSIGNALED(status) or self._stopping or self._deaths[app] >= MAX_DEATHS:
                self.spool.consoles.drop_app(app)
            killed = os.WIFSIGNALED(status) and not self._stopping
            self._deaths[app] += killed
            if killed and self._deaths[app] <= MAX_DEATHS:
                died.add(app)
            elif killed or os.WEXITSTATUS(status) not in (0, BUSY):
                self._failed = True
                self._failed_at[app] = time.monotonic()
            elif os.WEXITSTATUS(status) == 0:
                self._deaths.pop(app, None)
            elif watch:
                self._looked_at.pop(app, None)  # a worker started by hand has it: look again
        return died

    def _on_signals(self) -> None:
        signal.set_wakeup_fd(self._ear.fd, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)

    def _stop(self, *_: object) -> None:
        """Ask the children to stop; they leave their app in order and their push in the spool."""
        self._stopping = True
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
