"""rolling: a few replicas at a time, so that never more than `max_surge` replicas run above the wanted number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gitdeploy.targets.strategies.confirm import confirm
from gitdeploy.targets.strategies.sidebyside import SideBySide
from gitdeploy.targets.target import Outcome


def batches(old: int, new: int, surge: int) -> Iterator[tuple[int, int]]:
    """Yield how many new replicas to start, and then how many old ones to stop, step by step. Pure.

    At no time more than `surge` above the larger number run, and never fewer than the smaller number serve.
    """
    limit = max(old, new) + surge
    started = 0
    while started < new:
        start = min(new - started, limit - old - started)
        started += start
        stop = old + started - new if started < new else old
        old -= stop
        yield start, stop


def rolling(sides: SideBySide[Any]) -> Outcome:
    """Bring the release live without an outage, replica by replica; on failure the old ones take over again."""
    if sides.serves_already:
        return confirm(sides)
    if not (sides.gradual and sides.old):
        return _at_once(sides)
    r, app = sides.r, sides.r.release.app
    remaining = list(sides.old)
    with sides.undone_on_failure():
        for start, stop in batches(len(remaining), app.replicas, app.max_surge):
            batch = sides.bring_up(start)
            r.require_published()
            leaving, remaining = remaining[:stop], remaining[stop:]
            sides.hand_over(batch, leaving)
            if not remaining:
                r.output.line(f"{app.container} {r.release.version} serves")
            sides.drain(leaving)
            sides.stop(leaving)
        r.committed()
    sides.finish()
    return Outcome(0.0)


def _at_once(sides: SideBySide[Any]) -> Outcome:
    """Bring it live where old and new cannot share the requests: nothing ran before, or the router itself has to change."""
    with sides.undone_on_failure():
        sides.bring_up(sides.r.release.app.replicas)
        sides.r.require_published()
        outage = sides.move_all()
        sides.drain(sides.old)
        sides.r.committed()
    sides.finish()
    return Outcome(outage)
