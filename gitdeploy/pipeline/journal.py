"""The stages of one deployment, told to the pusher and written to state.db as they begin and end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gitdeploy.errors import GitdeployError, NothingToDo
from gitdeploy.releases.state import State
from gitdeploy.terminal.console import Console


@dataclass
class Running:
    """A stage that runs.

    Attributes:
        note: shown at its end, behind the time it took.
        skipped: whether there was nothing to do.
    """

    note: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class Journal:
    """Where a deployment's stages go.

    Attributes:
        deployment: its id in state.db.
        now: seconds since the epoch.
        clock: seconds, monotonic.
    """

    state: State
    console: Console
    deployment: int
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic

    @contextmanager
    def stage(self, name: str) -> Iterator[Running]:
        """Runs the block as a stage; an error that leaves it carries the stage's name into state.db."""
        self.console.line(f"==> {name}")
        number = self.state.stage(self.deployment, name, self.now())
        started = self.clock()
        running = Running()
        try:
            yield running
        except BaseException as error:
            self.state.end_stage(number, self.clock() - started, "skipped" if isinstance(error, NothingToDo) else "failed")
            if isinstance(error, GitdeployError) and not error.stage:
                error.stage = name
            raise
        seconds = self.clock() - started
        self.state.end_stage(number, seconds, "skipped" if running.skipped else "succeeded")
        self.console.line(f"    {name}: {seconds:.1f} s{f', {running.note}' if running.note else ''}")
