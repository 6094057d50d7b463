"""Cron lines: which are good, and when they are due. Pure; cronsim parses them, and is imported where there is one.

Where clocks change, it is as in Debian's cron: a run at a time that is left out comes right after it, and one at a time that
comes twice runs once; those with `*` for hour or minute go by the time that passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from gitdeploy.config.problems import BadValue
from gitdeploy.config.values import Kind

EXPECTED = 'five fields of cron, such as "30 3 * * *" (every day at 3:30) or "*/10 8-17 * * MON-FRI"'
ZONE_EXPECTED = 'a time zone such as "UTC" or "Europe/Berlin"'

_LINE = re.compile(r"(?=.{1,200}\Z)[0-9A-Za-z*,/#-]+(?: +[0-9A-Za-z*,/#-]+){4}")
_ZONE = re.compile(r"(?=.{1,60}\Z)[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")


def _times(cron: str, after: datetime) -> Iterator[datetime]:
    """Return the times of a cron line after that one, on its clock. Raises ValueError for a line that is none."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - most configurations have none

    try:
        return CronSim(cron, after)
    except (CronSimError, AssertionError) as error:
        raise ValueError(str(error)) from error


def _zone(name: str) -> tzinfo:
    """Return a time zone. Raises ValueError if this machine knows none of that name."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    try:
        return ZoneInfo(name)
    except (KeyError, OSError) as error:  # no such file, or a directory of them
        raise ValueError(str(error)) from error


def _parse_cron(value: object) -> str:
    if not isinstance(value, str) or not _LINE.fullmatch(value):
        raise BadValue(EXPECTED, value)
    fields = value.upper().split()
    some_day = datetime(2024, 1, 1, tzinfo=UTC)
    try:
        if next(_times(value, some_day), None) is None:
            raise BadValue("a cron line that is due some day", value)
    except ValueError as error:
        try:  # a month can have too few days
            _times(" ".join([*fields[:3], "*", fields[4]]), some_day)
            _times(" ".join(["0", "0", "1", fields[3], "*"]), some_day)
        except ValueError:
            raise BadValue(EXPECTED, value) from error
        raise BadValue("a cron line that is due some day", value) from error
    return value


def _parse_zone(value: object) -> str:
    if not isinstance(value, str) or not _ZONE.fullmatch(value):
        raise BadValue(ZONE_EXPECTED, value)
    try:
        _zone(value)
    except ValueError as error:
        try:
            _zone("Europe/Berlin")
        except ValueError:
            raise BadValue('"UTC", for this machine has no time zones (its package tzdata brings them)', value) from error
        raise BadValue(ZONE_EXPECTED, value) from error
    return value


CRON = Kind(EXPECTED, _parse_cron)
ZONE = Kind(ZONE_EXPECTED, _parse_zone)


def next_due(cron: str, timezone: str, after: float) -> float | None:
    """Return the first time after that one, both in seconds since the epoch; None if none comes.

    Raises ValueError for what `CRON` or `ZONE` would refuse: a release of long ago may ask for a time zone that is no more.
    """
    times = (found.timestamp() for found in _times(cron, datetime.fromtimestamp(after, _zone(timezone))))
    return next((due for due in times if due > after), None)  # within an hour that comes twice it goes by the first


def last_due(cron: str, timezone: str, after: float, until: float) -> float | None:
    """Return the last time that is after `after` and not after `until`; None for none. Raises as `next_due`."""
    last, due = None, next_due(cron, timezone, after)
    while due is not None and due <= until:
        last, due = due, next_due(cron, timezone, due)
    return last
