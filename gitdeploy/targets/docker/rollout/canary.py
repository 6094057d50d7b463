"""canary: a share of the requests goes to the new release, in steps; what HAProxy counts decides whether it gets all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

from gitdeploy.config.sections import Canary
from gitdeploy.engine.types import Container
from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.targets.docker.rollout.blue_green import blue_green
from gitdeploy.targets.docker.rollout.found import alias
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.overlap import Overlap
from gitdeploy.targets.docker.rollout.switch import POLL
from gitdeploy.targets.docker.router.runtime import Counts
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
    """Return the weight of each old and each new container; the new ones together get `percent` of the requests. Pure."""
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


def canary(r: Rollout) -> Outcome:
    """Bring the release live in steps, without an outage; undone as soon as it does worse than the old one.

    A rollback goes to what has been tried already, and in a hurry: that takes one step.
    """
    if r.reuse:
        return blue_green(r)
    overlap = Overlap(r)
    if overlap.serves_already:
        return overlap.confirm()
    if r.release.app.router.kind == "external":
        hint = 'use "rolling", or leave out router = "external"'
        raise StageFailed('strategy "canary" needs gitdeploy\'s own router to share out requests', hint)
    with overlap.undone_on_failure():
        overlap.bring_up(r.release.app.replicas)
        r.require_published()
        if overlap.switch.gradual and overlap.old and r.release.app.publish:
            for percent in r.release.app.canary.weight:
                _step(overlap, percent)
        else:
            r.output.line("no canary this time: there is no old release behind the router to compare with")
        outage = overlap.move_all()
        overlap.drain(overlap.old)
    overlap.finish()
    return Outcome(outage)


def _step(overlap: Overlap, percent: int) -> None:
    """Give the new release its share for one step. Raises StageFailed if it does worse than the old one, Cancelled."""
    r = overlap.r
    limits = r.release.app.canary
    old, new = weights(len(overlap.old), len(overlap.new), percent)
    before = overlap.switch.counts()
    overlap.switch.weigh({**{alias(c): old for c in overlap.old}, **{alias(c): new for c in overlap.new}})
    r.output.line(f"canary: {percent} % of the requests for {limits.duration:.0f} s")
    end = r.clock() + limits.duration
    while True:
        over = r.clock() >= end
        overlap.require_serving()
        after = overlap.switch.counts()
        found = judge(limits, _since(before, after, overlap.old), _since(before, after, overlap.new))
        if found.bad:
            raise StageFailed(f"canary at {percent} %: {found.bad}", "see the new release's log; the old one serves all again")
        if over:
            break
        if r.cancel.wait(min(POLL, max(0.0, end - r.clock()))):
            raise Cancelled("cancelled in the middle of the canary")
    few = "" if found.judged else f"; not judged, for fewer than {limits.min_requests} requests came"
    r.output.line(f"canary: {found.text}{few}")


def _since(before: Mapping[str, Counts], after: Mapping[str, Counts], containers: Iterable[Container]) -> Counts:
    """Return what these containers did together between two looks."""
    aliases = [alias(c) for c in containers]
    return reduce(add, (after[a].since(before[a]) for a in aliases if a in after and a in before), Counts())
