"""rolling: a few replicas at a time, so that never more than `max_surge` containers run above the wanted number."""

from __future__ import annotations

from collections.abc import Iterator

from gitdeploy.targets.docker.rollout.found import alias
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.overlap import Overlap
from gitdeploy.targets.docker.router.haproxycfg import FULL
from gitdeploy.targets.target import Outcome


def batches(old: int, new: int, surge: int) -> Iterator[tuple[int, int]]:
    """Yield how many new containers to start, and then how many old ones to stop, step by step. Pure.

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


def rolling(r: Rollout) -> Outcome:
    """Bring the release live without an outage, replica by replica; on failure the old ones take over again."""
    overlap = Overlap(r)
    if overlap.serves_already:
        return overlap.confirm()
    app = r.release.app
    if not (overlap.switch.gradual and overlap.old):
        return _at_once(overlap)
    remaining = list(overlap.old)
    with overlap.undone_on_failure():
        for start, stop in batches(len(remaining), app.replicas, app.max_surge):
            batch = overlap.bring_up(start)
            r.require_published()
            leaving, remaining = remaining[:stop], remaining[stop:]
            overlap.switch.weigh({**{alias(c): FULL for c in batch}, **{alias(c): 0 for c in leaving}})
            if not remaining:
                r.output.line(f"{app.container} {r.release.version} serves")
            overlap.drain(leaving)
            overlap.stop(leaving)
    overlap.finish()
    return Outcome(0.0)


def _at_once(overlap: Overlap) -> Outcome:
    """Bring it live where old and new cannot share the requests: nothing ran before, or the router itself has to change."""
    with overlap.undone_on_failure():
        overlap.bring_up(overlap.r.release.app.replicas)
        overlap.r.require_published()
        outage = overlap.move_all()
        overlap.drain(overlap.old)
    overlap.finish()
    return Outcome(outage)
