"""When cron lines are due, where clocks change above all."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.crontimes import CRON, last_due, next_due
from gitdeploy.config.problems import BadValue

BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("30 3 * * *", "UTC", "2026-03-28T12:00+00:00", ["2026-03-29T03:30+00:00", "2026-03-30T03:30+00:00"]),
        # 2:30 is left out on that day, and the run comes right after the change; the day after at its time
        ("30 2 * * *", BERLIN, "2026-03-28T12:00+01:00", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        # 2:30 comes twice, and the run once
        ("30 2 * * *", BERLIN, "2026-10-24T12:00+02:00", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        # seen from within the hour that comes twice
        ("30 2 * * *", BERLIN, "2026-10-25T02:10+01:00", ["2026-10-26T02:30+01:00"]),
        # what comes every so often goes by the time that passes
        ("*/30 * * * *", BERLIN, "2026-03-29T01:40+01:00", ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"]),
        ("*/30 * * * *", BERLIN, "2026-10-25T02:40+02:00", ["2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00+00:00", ["2028-02-29T00:00+00:00"]),
    ],
)
def test_next(cron: str, zone: str, after: str, expected: list[str]) -> None:
    moment: float | None = at(after)
    for due in expected:
        assert moment is not None
        moment = next_due(cron, zone, moment)
        assert moment == at(due)


def test_last_of_several() -> None:
    noon = at("2026-05-01T12:00+00:00")
    assert last_due("* * * * *", "UTC", noon - 300, noon + 30) == noon
    assert last_due("* * * * *", "UTC", noon, noon + 59) is None
    assert last_due("0 12 * * *", "UTC", noon - 1, noon) == noon
    assert last_due("0 12 * * *", "UTC", noon - 0.5, noon + 0.5) == noon


def test_a_zone_that_is_no_more() -> None:
    with pytest.raises(ValueError, match="No time zone"):
        next_due("0 12 * * *", "Europe/Atlantis", 0.0)


@given(st.text(alphabet="0123456789*,/-#LWMON ", min_size=9, max_size=40))
def test_a_line_is_refused_or_has_times(text: str) -> None:
    try:
        cron = CRON.parse(text)
    except BadValue:
        return
    assert next_due(cron, BERLIN, at("2026-03-28T12:00+00:00")) is not None
