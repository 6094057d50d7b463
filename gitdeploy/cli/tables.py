"""Plain text tables and times for people. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime


def table(header: Sequence[str], rows: Sequence[Sequence[str]], paint: Callable[[str], str] = str) -> str:
    """Columns as wide as their widest cell, two blanks apart.

    Args:
        paint: gives a cell its colour, if it has one.
    """
    widths = [max(columns(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Sequence[str], paint: Callable[[str], str]) -> str:
        last = len(row) - 1
        padded = (
            paint(cell) + " " * ((width - columns(cell)) if i < last else 0)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(header, str), *(line(row, paint) for row in rows)])


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: Korean and other wide letters take two, marks above a letter none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415 - few texts need it

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def ago(now: float, then: float | None) -> str:
    """Return how long ago, in the largest fitting unit; times in seconds since the epoch."""
    if then is None:
        return "-"
    seconds = max(0.0, now - then)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def moment(then: float | None) -> str:
    """Local date and time to the second."""
    return datetime.fromtimestamp(then).strftime("%Y-%m-%d %H:%M:%S") if then else "-"


def span(start: float | None, end: float | None) -> str:
    """Return seconds between two times."""
    return f"{end - start:.1f} s" if start is not None and end is not None else "-"
