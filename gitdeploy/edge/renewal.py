"""When to order which certificate: at two thirds of the life of the one before, later and later after failures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitdeploy.edge.certificate import DAY, SKEW, Certificate

LOOK = 3600
"""Seconds between two looks at the most: a clock that was wrong is believed for no longer."""
GAP = 720
"""Seconds between two orders of one name at the least: Let's Encrypt allows five failed validations of a name in an hour."""
FIRST, LAST = GAP, DAY // 2
"""Seconds until the second attempt; they double with each, up to the last."""
LONGEST = 7 * DAY
"""Seconds that an authority's Retry-After may take, the longest of Let's Encrypt's limits."""


@dataclass(frozen=True)
class WantedCertificate:
    """Names that one certificate is to be for, and who is to issue it.

    Attributes:
        names: in lower case; the first one stands for all in the store and in what is said.
        authority: the `Certificate.authority` that it is to have.
    """

    names: tuple[str, ...]
    authority: str

    @property
    def name(self) -> str:
        """The name that it goes by."""
        return self.names[0]


@dataclass(frozen=True)
class Setback:
    """Orders that failed, and none since that did not.

    Attributes:
        names: those that were ordered.
        at: when the last one failed, in seconds since the epoch.
        count: how many there were.
        reason: why the last one failed.
        next_at: when to try again.
    """

    names: tuple[str, ...]
    at: float
    count: int
    reason: str
    next_at: float


@dataclass(frozen=True)
class Agenda:
    """What to do about certificates.

    Attributes:
        due: what to order now, that which ends first in front.
        look_at: when to look again if nothing changes.
    """

    due: tuple[WantedCertificate, ...]
    look_at: float


def agenda(
    wanted: Sequence[WantedCertificate], certificates: Mapping[str, Certificate], setbacks: Mapping[str, Setback], now: float
) -> Agenda:
    """Return what to order now, and when to look again.

    Args:
        certificates: those that there are, by the name that they go by.
        setbacks: those of names, and those of authorities by `WantedCertificate.authority`.
    """
    moments = {one: order_at(one, certificates.get(one.name), setbacks, now) for one in wanted}
    due = [one for one, moment in moments.items() if moment <= now]
    due.sort(key=lambda one: (certificates[one.name].not_after if one.name in certificates else 0, one.name))
    return Agenda(tuple(due), min([now + LOOK, *(moment for moment in moments.values() if moment > now)]))


def order_at(wanted: WantedCertificate, certificate: Certificate | None, setbacks: Mapping[str, Setback], now: float) -> float:
    """Return when to order it, as far as the clock now tells; a moment that has passed means now."""
    moment = now
    if certificate and certificate.authority == wanted.authority and all(map(certificate.covers, wanted.names)):
        moment = renew_at(certificate)
        if certificate.not_before > now + SKEW:  # made by a clock that was ahead: nobody takes it before that
            moment = now
    for setback in (setbacks.get(wanted.name), setbacks.get(wanted.authority)):
        moment = max(moment, _again_at(setback, wanted, now) if setback else moment)
    return moment


def renew_at(certificate: Certificate) -> float:
    """Return when two thirds of a certificate's life are over."""
    return certificate.not_before + (certificate.not_after - certificate.not_before) * 2 / 3


def _again_at(setback: Setback, wanted: WantedCertificate, now: float) -> float:
    """Return when to try again. What is said to have happened in the future was said by a clock that was wrong."""
    if setback.at > now:
        return now
    if setback.names and set(setback.names) != set(wanted.names):
        return setback.at + GAP  # other names may do; but who changes them again and again meets the limit, too
    return min(setback.next_at, setback.at + LONGEST)


def set_back(before: Setback | None, names: tuple[str, ...], reason: str, now: float, retry_at: float = 0) -> Setback:
    """Return the setback after one more failure: the wait doubles, and is never shorter than the authority asks for.

    Args:
        names: those that were ordered, () if it concerns the authority whatever is ordered.
        retry_at: when the authority said to come again, 0 if it did not.
    """
    count = before.count + 1 if before and before.names == names else 1
    wait = min(FIRST * 2 ** min(count - 1, 30), LAST)
    return Setback(names, now, count, reason, max(now + wait, min(retry_at, now + LONGEST)))
