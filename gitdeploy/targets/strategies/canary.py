"""canary: a share of the requests goes to the new release, in steps; what HAProxy counts decides whether it gets all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitdeploy.config.sections import Canary
from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.targets.router.runtime import Counts
from gitdeploy.targets.router.switch import POLL
from gitdeploy.targets.strategies.blue_green import blue_green
from gitdeploy.targets.strategies.confirm import confirm
from gitdeploy.targets.strategies.sidebyside import SideBySide
from gitdeploy.targets.target import Outcome

HEAVIEST = 256
"""Of HAProxy's weights."""


@dataclass(frozen=True)
class Judgement:
    """What a step's counts say so far.

    Attributes:
        bad: why the new release must go, "" if it may stay.
        judged: whether there were enough answers to tell.
    """

    bad: str
    judged: bool
    text: str


def weights(old: int, new: int, percent: int) -> tuple[int, int]:
    """Return the weight of each old and each new replica; the new ones together get `percent` of the requests. Pure."""
    exact_old, exact_new = (100 - percent) * new, percent * old
    scale = min(1.0, HEAVIEST / max(exact_old, exact_new))
    return round(exact_old * scale), max(1, round(exact_new * scale))


def judge(canary: Canary, old: Counts, new: Counts) -> Judgement:
    """Compare what both did in a step. Pure."""
    total = new.answers + new.errors
    rate, usual = _rate(new), _rate(old)
    text = f"{new.bad} of {new.answers} answers were 5xx and {new.errors} failed ({rate:.1%}; old release: {usual:.1%})"
    judged = total >= max(1, canary.min_requests)
    too_many = judged and rate > usual + canary.max_5xx_rate
    return Judgement(text if too_many else "", judged, text)


def _rate(counts: Counts) -> float:
    total = counts.answers + counts.errors
    return (counts.bad + counts.errors) / total if total else 0.0


def canary(sides: SideBySide[Any]) -> Outcome:
    """Bring the release live in steps, without an outage; undone as soon as it does worse than the old one.

    A rollback goes to what has been tried already, and in a hurry: that takes one step.
    """
    r, app = sides.r, sides.r.release.app
    if r.reuse:
        return blue_green(sides)
    if sides.serves_already:
        return confirm(sides)
    if app.router.kind == "external":
        hint = 'use "rolling", or leave out router = "external"'
        raise StageFailed('strategy "canary" needs gitdeploy\'s own router to share out requests', hint)
    with sides.undone_on_failure():
        sides.bring_up(app.replicas)
        r.require_published()
        if sides.gradual and sides.old and (app.publish or app.led_to):
            for percent in app.canary.weight:
                _step(sides, percent)
        else:
            r.output.line("no canary this time: there is no old release behind the router to compare with")
        outage = sides.move_all()
        sides.drain(sides.old)
        r.committed()
    sides.finish()
    return Outcome(outage)


def _step(sides: SideBySide[Any], percent: int) -> None:
    """Give the new release its share for one step. Raises StageFailed if it does worse than the old one, Cancelled."""
    r = sides.r
    limits = r.release.app.canary
    old, new = sides.counts()
    sides.share(percent)
    r.output.line(f"canary: {percent} % of the requests for {limits.duration:.0f} s")
    end = r.clock() + limits.duration
    while True:
        over = r.clock() >= end
        sides.require_serving()
        old_now, new_now = sides.counts()
        found = judge(limits, old_now.since(old), new_now.since(new))
        if found.bad:
            raise StageFailed(f"canary at {percent} %: {found.bad}", "see the new release's log; the old one serves all again")
        if over:
            break
        if r.cancel.wait(min(POLL, max(0.0, end - r.clock()))):
            raise Cancelled("cancelled in the middle of the canary")
    few = "" if found.judged else f"; not judged, for fewer than {limits.min_requests} requests came"
    r.output.line(f"canary: {found.text}{few}")
