"""When certificates are ordered: tables, and a year of an authority that always refuses."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.edge.certificate import DAY, SKEW, Certificate
from gitdeploy.edge.renewal import (
    FIRST,
    GAP,
    LAST,
    LONGEST,
    LOOK,
    Setback,
    WantedCertificate,
    agenda,
    order_at,
    renew_at,
    set_back,
)

NOW = 1_800_000_000.0
ACME = "https://authority.test/directory"
NAME = "shop.example.com"
WANTED = WantedCertificate((NAME,), ACME)


def lasting(begin: float, end: float, names: tuple[str, ...] = (NAME,), authority: str = ACME) -> Certificate:
    """A certificate that begins and ends so many days from now."""
    return Certificate(names, int(NOW + begin * DAY), int(NOW + end * DAY), "1", "f", False, authority, b"", b"")


def failed(ago: float = 0, names: tuple[str, ...] = (NAME,), wait: float = 3600, count: int = 1) -> Setback:
    """A failure so many seconds ago, after which it is waited so long."""
    return Setback(names, NOW - ago, count, "refused", NOW - ago + wait)


@pytest.mark.parametrize(
    ("certificate", "days"),
    [
        (lasting(0, 90), 60),
        (lasting(-60, 30), 0),
        (lasting(-20, 27), 47 * 2 / 3 - 20),
        (lasting(-4, 2), 0),
        (lasting(-1, 5), 3),
    ],
)
def test_renewed_at_two_thirds(certificate: Certificate, days: float) -> None:
    assert renew_at(certificate) == pytest.approx(NOW + days * DAY)


@pytest.mark.parametrize(
    ("certificate", "setbacks", "due"),
    [
        pytest.param(None, {}, True, id="none yet"),
        pytest.param(lasting(-1, 89), {}, False, id="a new one"),
        pytest.param(lasting(-59.9, 30.1), {}, False, id="just before two thirds"),
        pytest.param(lasting(-60, 30), {}, True, id="at two thirds"),
        pytest.param(lasting(-91, -1), {}, True, id="ended"),
        pytest.param(lasting(-1, 89, names=("other.example.com",)), {}, True, id="for another name"),
        pytest.param(lasting(-1, 89, names=("a.example.com", NAME)), {}, False, id="for more names"),
        pytest.param(lasting(-1, 89, authority="https://staging.test"), {}, True, id="from another authority"),
        pytest.param(lasting(-1, 89, authority=""), {}, True, id="self-made"),
        pytest.param(lasting(30, 120), {}, True, id="begins in a month: the clock was ahead when it was made"),
        pytest.param(lasting(0.5, 90), {}, False, id="begins in half a day: the clock is a little behind"),
        pytest.param(None, {NAME: failed(ago=60)}, False, id="failed a minute ago"),
        pytest.param(None, {NAME: failed(ago=3600)}, True, id="failed an hour ago"),
        pytest.param(lasting(-60, 30), {NAME: failed(ago=60)}, False, id="renewal failed a minute ago"),
        pytest.param(lasting(-1, 89), {NAME: failed(ago=3600)}, False, id="failed once, but came since"),
        pytest.param(None, {NAME: failed(ago=-1)}, True, id="failed in the future: the clock was ahead"),
        pytest.param(None, {NAME: failed(ago=-365 * DAY, wait=9 * DAY)}, True, id="failed next year"),
        pytest.param(None, {NAME: failed(ago=60, wait=10 * 365 * DAY)}, False, id="is to wait ten years"),
        pytest.param(None, {NAME: failed(ago=LONGEST, wait=10 * 365 * DAY)}, True, id="was to wait ten years, a week ago"),
        pytest.param(None, {NAME: failed(ago=60, names=("a.example.com",))}, False, id="other names failed a minute ago"),
        pytest.param(None, {NAME: failed(ago=GAP, names=("a.example.com",))}, True, id="other names failed a while ago"),
        pytest.param(None, {ACME: failed(ago=60, names=())}, False, id="the authority was away a minute ago"),
        pytest.param(None, {ACME: failed(ago=3600, names=())}, True, id="the authority was away an hour ago"),
        pytest.param(None, {"https://staging.test": failed(ago=60, names=())}, True, id="another authority is away"),
        pytest.param(None, {"a.example.com": failed(ago=60)}, True, id="another name failed"),
    ],
)
def test_what_is_due(certificate: Certificate | None, setbacks: dict[str, Setback], due: bool) -> None:
    found = agenda([WANTED], {NAME: certificate} if certificate else {}, setbacks, NOW)
    assert found.due == ((WANTED,) if due else ())
    assert NOW < found.look_at <= NOW + LOOK
    assert (order_at(WANTED, certificate, setbacks, NOW) <= NOW) == due


def test_what_ends_first_is_ordered_first_and_what_is_missing_before() -> None:
    wanted = [WantedCertificate((f"{name}.example.com",), ACME) for name in "abcd"]
    lives = {"a": (-80, 10), "b": (-85, 5), "d": (-1, 89)}
    certificates = {f"{n}.example.com": lasting(*life, names=(f"{n}.example.com",)) for n, life in lives.items()}
    assert [one.name[0] for one in agenda(wanted, certificates, {}, NOW).due] == ["c", "b", "a"]


def test_looks_when_the_next_is_due_but_hourly_at_least() -> None:
    assert agenda([], {}, {}, NOW).look_at == NOW + LOOK
    assert agenda([WANTED], {NAME: lasting(-1, 89)}, {}, NOW).look_at == NOW + LOOK
    soon = lasting(-60 + 0.01, 30 + 0.01)
    assert agenda([WANTED], {NAME: soon}, {}, NOW).look_at == pytest.approx(NOW + 0.01 * DAY, abs=2)
    assert agenda([WANTED], {}, {NAME: failed(ago=0, wait=900)}, NOW).look_at == NOW + 900


def test_waits_double_up_to_a_limit() -> None:
    setback, waits = None, []
    for _ in range(200):
        setback = set_back(setback, (NAME,), "refused", NOW)
        waits.append(setback.next_at - NOW)
    assert waits[:6] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST, 32 * FIRST]
    assert waits[-1] == LAST
    assert setback and setback.count == 200
    assert set_back(setback, ("other.example.com",), "refused", NOW).count == 1


@pytest.mark.parametrize(
    ("retry_at", "wait"), [(0, FIRST), (NOW - 60, FIRST), (NOW + 60, FIRST), (NOW + 9999, 9999), (NOW + 99 * DAY, LONGEST)]
)
def test_an_authority_that_asks_for_longer_gets_it(retry_at: float, wait: float) -> None:
    assert set_back(None, (NAME,), "limited", NOW, retry_at).next_at == NOW + wait


def tries(jumps: dict[int, float], hours: int) -> list[float]:
    """When it is tried, in real seconds, at an authority that refuses, by a clock that is set at some of the looks."""
    real, ahead, setbacks, found = 0.0, 0.0, {}, []
    look = 0
    while real < hours * 3600:
        look += 1
        ahead += jumps.get(look, 0)
        now = NOW + real + ahead
        todo = agenda([WANTED], {}, setbacks, now)
        if todo.due:
            found.append(real)
            setbacks = {NAME: set_back(setbacks.get(NAME), (NAME,), "refused", now)}
            todo = agenda([WANTED], {}, setbacks, now)
        real += todo.look_at - now
    return found


def test_five_validations_an_hour_are_never_exceeded() -> None:
    found = tries({}, 24 * 30)
    assert all(later - earlier > 3600 for earlier, later in zip(found, found[5:], strict=False))
    assert all(later - earlier >= GAP for earlier, later in pairwise(found))
    assert max(later - earlier for earlier, later in pairwise(found)) <= LAST + LOOK


@given(
    st.dictionaries(st.integers(1, 60), st.sampled_from([-400 * DAY, -DAY, -3600, -60, 60, 3600, DAY, 400 * DAY]), max_size=6)
)
def test_whatever_the_clock_does_it_is_tried_again(jumps: dict[int, float]) -> None:
    found = [0.0, *tries(jumps, 24 * 20), 24 * 20 * 3600.0]
    assert max(later - earlier for earlier, later in pairwise(found)) <= LAST + 8 * LOOK, (
        "an hour for each that it was set back"
    )
    assert len(found) < 24 * 20


@given(st.floats(-800, 800), st.floats(0.01, 400))
def test_a_certificate_that_nobody_can_use_now_is_always_due(begin: float, life: float) -> None:
    certificate = lasting(begin, begin + life)
    usable = certificate.not_before <= NOW + SKEW and certificate.not_after > NOW
    due = bool(agenda([WANTED], {NAME: certificate}, {}, NOW).due)
    assert due or usable
