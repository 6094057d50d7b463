"""A release that serves already, made as large as its configuration says."""

from __future__ import annotations

from typing import Any

from gitdeploy.targets.strategies.sidebyside import SideBySide
from gitdeploy.targets.target import Outcome


def confirm(sides: SideBySide[Any]) -> Outcome:
    """For a release that serves already: it gets as many replicas as it is to have, and what is older goes."""
    r = sides.r
    wanted = r.release.app.replicas
    serving, sides.old = sides.old, []
    sides.new, leaving = serving[:wanted], serving[wanted:]
    r.output.line(f"{r.release.app.container} {r.release.version} serves already")
    if len(serving) == wanted:
        r.require_published()
        r.committed()
    else:
        with sides.undone_on_failure():
            if wanted > len(serving):
                sides.bring_up(wanted - len(serving))
            r.require_published()
            sides.keep_only(sides.new)
            sides.drain(leaving)
            r.committed()
    sides.finish()
    return Outcome(0.0)
