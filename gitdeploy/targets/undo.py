"""What a rollout takes back when it fails: each effect is entered with what undoes it, and all of that is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gitdeploy.engine.types import Output
from gitdeploy.errors import EngineGone, GitdeployError


@dataclass(frozen=True)
class _WayBack:
    what: str
    run: Callable[[], object]
    traffic: bool


class Undo:
    """The way back from where a rollout has come to."""

    def __init__(self, output: Output) -> None:
        """`output` is told what cannot be undone."""
        self._output = output
        self._steps: list[_WayBack] = []

    def add(self, what: str, run: Callable[[], object], *, traffic: bool = False) -> None:
        """Enter a step: before an effect that may fail half-way, or behind one that leaves nothing when it fails.

        Args:
            what: what it does, "starting the old release again".
            run: does it; it must do no harm where the effect never came about.
            traffic: whether requests are answered again by it: that comes before anything else.
        """
        self._steps.append(_WayBack(what, run, traffic))

    @contextmanager
    def on_failure(self) -> Iterator[None]:
        """Take everything back if the block raises; what that fails at is added to the hint of the block's own error.

        Raises:
            EngineGone: the engine went away meanwhile; recovery goes on from there.
        """
        try:
            yield
        except BaseException as error:
            failed = self.run()
            if failed and isinstance(error, GitdeployError):
                error.hint = (
                    f"undoing it failed too ({'; '.join(failed)}): look at the containers, then deploy again. {error.hint}"
                )
            raise

    def run(self) -> list[str]:
        """Run all steps, the last one entered first and those for traffic before the others; return what failed and why."""
        failed = []
        for step in sorted(reversed(self._steps), key=lambda step: not step.traffic):
            for reason in attempts(step.run):
                failed.append(f"{step.what}: {reason}")
                self._output.line(f"undoing it failed too: {failed[-1]}")
        self._steps.clear()
        return failed


def attempts(*calls: Callable[[], object]) -> list[str]:
    """Make all calls, whatever one of them raises; return the reasons of those that failed. Raises EngineGone at once."""
    failed = []
    for call in calls:
        try:
            call()
        except EngineGone:
            raise
        except GitdeployError as error:
            failed.append(error.reason)
        except Exception as error:
            from gitdeploy.terminal import console  # noqa: PLC0415 - loguru comes with it, which no command line needs

            console.crash("undoing a rollout")
            failed.append(f"{type(error).__name__} (a defect of gitdeploy: its log has the traceback)")
    return failed
