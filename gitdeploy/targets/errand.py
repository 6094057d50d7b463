"""A task or a scheduled run, how one ended, and what is done about one that an earlier process may have begun. Pure."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from gitdeploy.config.jobs import Task
from gitdeploy.config.model import App
from gitdeploy.config.sections import EMPTY
from gitdeploy.engine.types import ENDED, Cancel, Output

Move = Literal["run", "start", "follow", "read", "unknown"]

RUNNING = ("running", "paused", "restarting")

KILLED = (137, 143, 255)
"""Exit codes of what did not end by itself, as far as anybody can tell: SIGKILL, SIGTERM, and the end of the engine."""

CANNOT_RUN = (126, 127)
"""Exit codes of a shell, and of an engine, for a program that cannot be run, or is not there."""


@dataclass(frozen=True)
class Errand:
    """One task of one deployment, or one run of a schedule in what is live.

    Attributes:
        app: its configuration.
        release: number of the deployment.
        name: of the task or schedule.
        begun: whether an earlier attempt may have started it.
        begin: called once it is made and before it is started for the first time.
        leave: whether it runs on when `cancel` is set: the next run of the worker takes it up.
        image: id of the image; "": it is not to be started, only what is there is looked after.
        env: the whole environment of the release.
        run: number of the run, 0 for a task.
    """

    app: App
    release: int
    name: str
    task: Task
    output: Output
    cancel: Cancel
    begun: bool
    begin: Callable[[], object] = lambda: None
    leave: Callable[[], bool] = lambda: True
    image: str = ""
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    run: int = 0

    @property
    def key(self) -> str:
        """What its table is called in the configuration."""
        return f"{'schedule' if self.run else 'tasks'}.{self.name}"


@dataclass(frozen=True)
class TaskEnd:
    """How a task ended.

    Attributes:
        code: its exit code.
        out_of_memory: whether the kernel killed it for memory.
        problem: why it could not be started, "" if it was.
        tail: the last lines that it said, oldest first.
    """

    code: int
    out_of_memory: bool = False
    problem: str = ""
    tail: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """How it ended, for people: "exit code 3"."""
        if self.problem:
            return f"it could not be started: {self.problem}"
        if self.out_of_memory:
            return "killed for using too much memory"
        name = ""
        with suppress(ValueError):
            name = f", which is {signal.Signals(self.code - 128).name}" if self.code > 128 else ""
        return f"exit code {self.code}{name}"

    @property
    def hint(self) -> str:
        """What to do about one that failed."""
        if self.problem or self.code in CANNOT_RUN:
            return (
                "is that program in the image, and executable? Quotes and $ mean nothing unless a shell reads them: "
                'command = ["sh", "-c", "…"]'
            )
        return "raise memory in its run table, or let it use less" if self.out_of_memory else "what it said is above"


def next_move(state: str, exit_code: int, *, begun: bool, retry: bool, may_start: bool) -> Move:
    """Return what to do about a task.

    What an engine that was killed has not kept of a container's start shows as "created", so that alone does not tell that a
    task never ran.

    Args:
        state: of its container, as `Container.state`; "" if there is none.
        begun: whether it is on record that it was about to be started.
        retry: whether it may run a second time.
        may_start: whether anything may be started at all.

    Returns:
        "run": make a container, in place of one that is there. "start": the one that is there never was. "follow": it runs.
        "read": it has ended. "unknown": it began, and nobody knows whether it finished.
    """
    if state in RUNNING:
        return "follow"
    if state in ENDED and not (exit_code in KILLED and begun and retry and may_start):
        return "read"
    if state == "created" and may_start and not begun:
        return "start"
    return "run" if may_start and (retry or not begun) else "unknown"
