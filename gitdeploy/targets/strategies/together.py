"""All processes of an app brought live as one release: each by its own strategy, side by side, with gates between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gitdeploy.config.checks import processes
from gitdeploy.config.model import WEB, App
from gitdeploy.engine.types import Output
from gitdeploy.errors import Cancelled, EngineGone, GitdeployError
from gitdeploy.targets.strategies.gates import Gates, OtherFailed
from gitdeploy.targets.target import Outcome
from gitdeploy.terminal.named import Named


def to_run(app: App) -> tuple[App, ...]:
    """Return the app as each process has it that is to run, "web" first. Pure."""
    return tuple(part for part in processes(app) if part.replicas)


@dataclass(frozen=True)
class Ways:
    """How a target does it, for the app as one process has it.

    Attributes:
        strategies: by name; each takes the target's own `TakingOver`.
        leave: lets a process end with the switch that the new release does not have.
        take_away: removes what is left of it.
    """

    strategies: Mapping[str, Callable[[Any], Outcome]]
    leave: Callable[[Any], Outcome]
    take_away: Callable[[App], object]


def bring_all_live(r: Any, leaving: Sequence[App], ways: Ways) -> Outcome:
    """Bring all processes live, or none; what comes of "web" is returned.

    Args:
        r: the target's own `TakingOver` of the whole app.
        leaving: the app as those processes have it that are there and not to run.

    Raises:
        GitdeployError: what failed first; every process has undone what it did.
    """
    app = r.release.app
    wanted = to_run(app)
    if len(wanted) + len(leaving) == 1:
        return ways.strategies[app.strategy](r)
    gates = Gates([part.process for part in (*wanted, *leaving)], r.cancel)
    errors: list[BaseException] = []

    def take(part: App, strategy: Callable[[Any], Outcome]) -> Outcome:
        try:
            return strategy(_of_process(r, part, gates))
        except BaseException as error:
            errors.append(error)  # before others fail because of it
            gates.close()
            if part.process != WEB and isinstance(error, GitdeployError) and not isinstance(error, Cancelled | EngineGone):
                error.reason = f"process {part.process}: {error.reason}"
            return Outcome(None)

    with ThreadPoolExecutor(len(wanted) + len(leaving) - 1, "process") as pool:
        for part in wanted[1:]:
            pool.submit(take, part, ways.strategies[part.strategy])
        for part in leaving:
            pool.submit(take, part, ways.leave)
        outcome = take(wanted[0], ways.strategies[app.strategy])
    if errors:
        raise decisive(errors)
    with left_to_the_next(r.output):
        for part in leaving:  # after all have given their names to the new release: recovery goes by those
            ways.take_away(part)
    return outcome


def _of_process(r: Any, part: App, gates: Gates) -> Any:
    """Return the rollout of one process among several."""
    return replace(
        r,
        release=replace(r.release, app=part),
        output=r.output if part.process == WEB else Named(r.output, part.process),
        cancel=gates,
        published=partial(gates.switch, part.process, r.published),
        committed=partial(_commit, gates, part.process, r.serves),
        alone=False,
    )


def _commit(gates: Gates, process: str, serves: Callable[[], object]) -> None:
    """Pass the second gate. Then the whole release serves, of which each process tells."""
    gates.commit(process)
    serves()


@contextmanager
def left_to_the_next(output: Output) -> Iterator[None]:
    """Tell what the block cannot remove, now that the new release serves: the next deployment does it. Raises EngineGone."""
    try:
        yield
    except EngineGone:
        raise  # recovery goes on from here
    except GitdeployError as error:
        output.line(f"the old release could not be removed yet: {error.reason}")


def decisive(errors: Sequence[BaseException]) -> BaseException:
    """Return the error to raise of those that the processes left behind, in order; what could not be undone is in its hint.

    An engine that is away counts more than what failed before: recovery has to go on from there. Pure.
    """
    ranks = [0 if not isinstance(e, Exception) else 1 if isinstance(e, EngineGone) else 2 for e in errors]
    chosen = errors[ranks.index(min(ranks))]
    if isinstance(chosen, GitdeployError):
        undone = [e.hint for e in errors if e is not chosen and isinstance(e, OtherFailed | Cancelled) and e.hint]
        chosen.hint = " ".join(filter(None, [chosen.hint, *undone]))
    return chosen
