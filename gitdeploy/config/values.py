"""Kinds of values that are not of this field alone: texts, numbers, durations, sizes, arrays, tables of names. Pure.

A kind reads a TOML value, telling what it expected where it cannot, and writes its result back as a TOML value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from gitdeploy.config.problems import BadName, BadValue, join_key

T = TypeVar("T")

MAX_ITEMS = 100
"""Of one array or table: far more than anybody writes, and little enough that nothing later gets slow."""

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"([0-9.]+)(ms|s|m|h|d)")
_DURATION_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]i?)?b", re.IGNORECASE)
_SIZE_UNITS = {"t": 10**12, "ti": 2**40, "g": 10**9, "gi": 2**30, "m": 10**6, "mi": 2**20, "k": 10**3, "ki": 2**10}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """One kind of value.

    Attributes:
        expected: what a person should write, completing "expected …".
        parse: takes a TOML value, returns the checked one; raises BadValue.
        format: takes what `parse` returned, gives a TOML value that `parse` reads back.
    """

    expected: str
    parse: Callable[[object], T]
    format: Callable[[T], object] = lambda value: value


def matching(pattern: str, expected: str) -> Kind[str]:
    """Return a string that the regular expression matches as a whole."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):  # compiled when first needed: there are many
            raise BadValue(expected, value)
        return value

    return Kind(expected, parse)


def choice(*names: str) -> Kind[str]:
    """Return one of a few words."""
    expected = " or ".join([", ".join(f'"{name}"' for name in names[:-1]), f'"{names[-1]}"'])
    return matching("|".join(re.escape(name) for name in names), expected)


def _parse_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadValue("true or false", value)
    return value


FLAG = Kind("true or false", _parse_flag)


def _parse_setting(value: object) -> str:
    """Env values and build arguments: what people write without quotes there is a port or a count."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    if not isinstance(value, str):
        raise BadValue("a string", value)
    if _CONTROL.search(value):
        raise BadValue("a string without control characters", value)
    return value


SETTING = Kind("a string", _parse_setting)


def whole(low: int, high: int) -> Kind[int]:
    """Return an integer from `low` to `high`."""
    expected = f"an integer from {low} to {high}"

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadValue(expected, value)
        return value

    return Kind(expected, parse)


def _number(value: object) -> float:
    """Return a finite number, else nan."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e18:
        return math.nan
    return float(value)


def number(low: int, high: int) -> Kind[float]:
    """Return a number from `low` to `high`."""
    expected = f"a number from {low} to {high}"

    def parse(value: object) -> float:
        found = _number(value)
        if not low <= found <= high:
            raise BadValue(expected, value)
        return found

    return Kind(expected, parse)


_SHARE = 'a share from 0 to 1, or a percentage such as "1%"'


def _parse_share(value: object) -> float:
    share = _number(value)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?%", value):
        share = float(value[:-1]) / 100
    if not 0 <= share <= 1:
        raise BadValue(_SHARE, value)
    return share


SHARE = Kind(_SHARE, _parse_share)


def duration(low: str, high: str) -> Kind[float]:
    """Return seconds, written as "10s", "1m30s" or a number; both limits in that form."""
    least, most = _seconds(low), _seconds(high)
    expected = f'a duration from {low} to {high}, such as "10s", "1m30s" or a number of seconds'

    def parse(value: object) -> float:
        seconds = _seconds(value) if isinstance(value, str) else _number(value)
        if not least <= seconds <= most:
            raise BadValue(expected, value)
        return seconds

    return Kind(expected, parse, format_duration)


def _seconds(text: str) -> float:
    if len(text) > 40 or not _DURATION.fullmatch(text):
        return math.nan
    # rounded, for 0.001 * 250 is not 0.25 to the last bit
    return round(sum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text)), 6)


def format_duration(seconds: float) -> object:
    """Return the shortest text for it, "1m30s"; the number itself where milliseconds do not express it."""
    rest = round(seconds * 1000)
    if rest / 1000 != seconds:
        return seconds
    parts = []
    for unit, length in _DURATION_UNITS.items():
        count, rest = divmod(rest, round(length * 1000))
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def size(low: int, high: int) -> Kind[int]:
    """Return bytes, written as "10MB", "512MiB" or a number."""
    expected = f'a size from {_format_size(low)} to {_format_size(high)}, such as "10MB", "1GiB" or a number of bytes'

    def parse(value: object) -> int:
        amount = _number(value) if isinstance(value, int) else math.nan
        if isinstance(value, str) and len(value) <= 40 and (match := _SIZE.fullmatch(value)):
            amount = float(match[1]) * _SIZE_UNITS.get((match[2] or "").lower(), 1)
        if not low <= amount <= high:
            raise BadValue(expected, value)
        return int(amount)

    return Kind(expected, parse, _format_size)


def _format_size(count: int) -> object:
    for unit, length in _SIZE_UNITS.items():
        if count and count % length == 0:
            return f"{count // length}{unit[0].upper() if unit != 'k' else 'k'}{unit[1:]}B"
    return count


def many(kind: Kind[T], *, at_least: int = 0) -> Kind[tuple[T, ...]]:
    """Return an array without repetitions; a single value stands for an array of one."""
    expected = f"an array, each {kind.expected}"

    def parse(value: object) -> tuple[T, ...]:
        if isinstance(value, list) and not at_least <= len(value) <= MAX_ITEMS:
            raise BadValue(f"an array of {at_least} to {MAX_ITEMS}, each {kind.expected}", value)
        if not isinstance(value, list):
            return (kind.parse(value),)
        items: list[T] = []
        for index, item in enumerate(value):
            try:
                items.append(kind.parse(item))
            except BadValue as bad:
                raise BadValue(bad.expected, bad.value, f"[{index}]{bad.at}") from bad
            if items[-1] in items[:-1]:
                raise BadValue("each item once", item, f"[{index}]")
        return tuple(items)

    return Kind(expected, parse, lambda items: [kind.format(item) for item in items])


def named(name: Kind[str], kind: Kind[T]) -> Kind[Mapping[str, T]]:
    """Return a table with free names, each with a value of one kind."""
    expected = f"a table, each value {kind.expected}"

    def parse(value: object) -> Mapping[str, T]:
        if not isinstance(value, dict):
            raise BadValue(expected, value)
        if len(value) > MAX_ITEMS:
            raise BadValue(f"a table of at most {MAX_ITEMS} names", value)
        items: dict[str, T] = {}
        for key, item in value.items():
            try:
                name.parse(key)
            except BadValue as bad:
                raise BadName(bad.expected, key) from bad
            try:
                items[key] = kind.parse(item)
            except BadValue as bad:
                raise BadValue(bad.expected, bad.value, f".{join_key([key])}{bad.at}") from bad
        return MappingProxyType(items)

    def write(items: Mapping[str, T]) -> dict[str, Any]:
        return {key: kind.format(item) for key, item in items.items()}

    return Kind(expected, parse, write)
