"""blue-green: all of the new release beside all of the old one, one switch; the old one can be kept for an instant way back."""

from __future__ import annotations

from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.overlap import Overlap
from gitdeploy.targets.target import Outcome


def blue_green(r: Rollout) -> Outcome:
    """Bring the release live without an outage; the old one serves until all of the new one does."""
    overlap = Overlap(r)
    if overlap.serves_already:
        return overlap.confirm()
    with overlap.undone_on_failure():
        reused = overlap.reuse()
        if not reused:
            overlap.bring_up(r.release.app.replicas)
        r.require_published()
        outage = overlap.move_all()
        overlap.drain(overlap.old)
    hold = r.release.app.hold if overlap.group and overlap.group.routed and not reused else 0.0
    overlap.finish(hold=hold > 0)
    note = f"blue-green, {overlap.group.version} is kept for {hold:.0f} s" if overlap.group and hold else ""
    return Outcome(outage, note)
