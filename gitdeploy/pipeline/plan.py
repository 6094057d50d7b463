"""A deployment as a list of steps, and the one way to walk it.

The begin and the end of each step stand in state.db before and after what it does: pushers read them as the log, the history
shows them, and an attempt that follows a crash goes by what is on record. A step that fails has undone what it did when it
raises; only the last one touches what serves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gitdeploy.engine.types import Output
from gitdeploy.errors import Cancelled, GitdeployError, NothingToDo, StageFailed
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline.tools import Tools
from gitdeploy.terminal.named import Named


@dataclass
class Running:
    """A step that runs.

    Attributes:
        output: where it reports.
        cancel: set when it is to stop: its deadline is over, the deployment is cancelled, or a step beside it has failed.
        note: shown at its end, behind the time it took.
        skipped: whether there was nothing to do.
        warning: why it failed, where that is told and the deployment goes on; "" if it did not.
    """

    output: Output
    cancel: CancelFlag
    note: str = ""
    skipped: bool = False
    warning: str = ""


@dataclass(frozen=True)
class Deadline:
    """When a step as a whole has taken too long.

    Attributes:
        seconds: counted from its begin.
        what: where they come from, a key of the configuration.
        hint: what to do about it.
    """

    seconds: float
    what: str
    hint: str


@dataclass
class Walk:
    """A walk through a plan.

    Attributes:
        halt: set when the deployment is cancelled, or a step has failed: no use to go on with those beside it.
        beside: what runs beside the steps after it, by the step's name.
    """

    tools: Tools
    halt: CancelFlag = field(init=False)
    beside: dict[str, Future[None]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.halt = CancelFlag(self.tools.cancel)

    def await_step(self, name: str) -> None:
        """Wait until a step that runs beside this one has ended. Raises what it raised."""
        if name in self.beside:
            self.beside[name].result()


W = TypeVar("W", bound=Walk)


@dataclass(frozen=True)
class Step(Generic[W]):
    """One step.

    Attributes:
        name: as pushers and the history show it.
        run: does it, and leaves in the walk what it found.
        deadline: of the step as a whole; None where each of its waits has its own.
        beside: whether the steps after it begin while it runs.
    """

    name: str
    run: Callable[[W, Running], None]
    deadline: Callable[[W], Deadline] | None = None
    beside: bool = False


BESIDE = 4
"""Steps that may run beside the others at the same time."""


def follow(plan: Iterable[Step[W]], walk: W) -> None:
    """Take the steps of a plan one after the other, those beside the others in a thread.

    Each is asked for when those before it have begun, and been taken unless they run beside: what they found may decide it.

    Raises:
        GitdeployError: a step failed, which bears its name as `stage`; those beside it have ended.
        NothingToDo: a step found that nothing is to be done.
    """
    with ThreadPoolExecutor(BESIDE, "beside") as pool:
        try:
            for step in plan:
                number = _begin(step, walk)
                if step.beside:
                    walk.beside[step.name] = pool.submit(_take, step, walk, number)
                else:
                    _take(step, walk, number)
            for future in walk.beside.values():
                future.result()
        except BaseException:
            walk.halt.set("failed")
            raise


def _begin(step: Step[W], walk: W) -> int:
    """Tell and record that a step begins; return its number in state.db."""
    tools = walk.tools
    tools.console.line(f"==> {step.name}")
    return tools.state.stage(tools.job.deployment, step.name, tools.now())


def _take(step: Step[W], walk: W, number: int) -> None:
    """Run a step that has begun, and record and tell its end."""
    tools = walk.tools
    started = tools.clock()
    stage = Running(Named(tools.console, step.name) if step.beside else tools.console, CancelFlag(walk.halt))
    try:
        with _limited(step, walk, stage.cancel):
            step.run(walk, stage)
    except BaseException as error:
        status = "skipped" if isinstance(error, NothingToDo) else "failed"
        tools.state.end_stage(number, tools.clock() - started, status)
        if isinstance(error, GitdeployError) and not error.stage:
            error.stage = step.name
        raise
    seconds = tools.clock() - started
    tools.state.end_stage(number, seconds, "failed" if stage.warning else "skipped" if stage.skipped else "succeeded")
    if stage.warning:
        tools.console.line(f"    warning: {stage.warning}")
    tools.console.line(f"    {step.name}: {seconds:.1f} s{f', {stage.note}' if stage.note else ''}")


@contextmanager
def _limited(step: Step[W], walk: W, cancel: CancelFlag) -> Iterator[None]:
    """Set `cancel` when the step's deadline is over; what that brings about is raised as StageFailed."""
    if step.deadline is None:
        yield
        return
    deadline = step.deadline(walk)
    timer = threading.Timer(deadline.seconds, cancel.set, ["timeout"])
    timer.daemon = True
    timer.start()
    try:
        yield
    except Cancelled as error:
        if cancel.reason != "timeout":
            raise
        raise StageFailed(f"{step.name} took longer than {deadline.seconds:.0f} s ({deadline.what})", deadline.hint) from error
    finally:
        timer.cancel()
