"""Plain text tables and times for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two blanks apart."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [header, *rows]]
    return "\n".join(lines)


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
