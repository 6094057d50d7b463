"""What a terminal shows beyond plain text: colours, and a page that is shown again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from gitdeploy.errors import UsageError

INTERVAL = 2.0
"""Seconds between two looks of --watch."""

CLEAR = "\x1b[H\x1b[2J\x1b[3J"
"""Moves to the upper left corner, and empties the screen (ECMA-48; xterm for what has scrolled away)."""

_GREEN, _RED, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[1;31m", "\x1b[33m", "\x1b[0m"

COLOURS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("yes", "succeeded"), _GREEN),
        **dict.fromkeys(("NO", "failed"), _RED),
        **dict.fromkeys(("stopped", "interrupted", "running", "queued", "cancelled"), _YELLOW),
    }
)


def painter(environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return what gives words their colours, on a terminal that has some; NO_COLOR (no-color.org) asks for none."""
    plain = environ.get("NO_COLOR") or environ.get("TERM", "dumb") == "dumb" or not sys.stdout.isatty()
    return str if plain else paint


def paint(text: str) -> str:
    """Return a word in its colour, if it has one: a status may have a number before it, "12 failed". Pure."""
    colour = COLOURS.get(text.rpartition(" ")[2])
    return f"{colour}{text}{_PLAIN}" if colour else text


def watch(show: Callable[[], str], pause: Callable[[float], object] = time.sleep) -> int:
    """Show a page again and again, until Ctrl-C, which is no error; return 0. Raises UsageError where there is no terminal."""
    if not sys.stdout.isatty():
        raise UsageError("--watch: expected a terminal, found none", "leave --watch out")
    try:
        while True:
            print(CLEAR + show(), flush=True)
            pause(INTERVAL)
    except KeyboardInterrupt:
        return 0
