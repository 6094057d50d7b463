"""blue-green: all of the new release beside all of the old one, one switch; the old one can be kept for an instant way back."""

from __future__ import annotations

from typing import Any

from gitdeploy.targets.strategies.confirm import confirm
from gitdeploy.targets.strategies.sidebyside import SideBySide
from gitdeploy.targets.target import Outcome


def blue_green(sides: SideBySide[Any]) -> Outcome:
    """Bring the release live without an outage; the old one serves until all of the new one does."""
    if sides.serves_already:
        return confirm(sides)
    app = sides.r.release.app
    with sides.undone_on_failure():
        reused = sides.reuse()
        if not reused:
            sides.bring_up(app.replicas)
        sides.r.require_published()
        outage = sides.move_all()
        sides.drain(sides.old)
        sides.r.committed()
    hold = app.hold if sides.holds and not reused else 0.0
    sides.finish(hold=hold > 0)
    return Outcome(outage, f"blue-green, {sides.holds} is kept for {hold:.0f} s" if hold else "")
