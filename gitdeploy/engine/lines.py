"""A program's output, which comes in pieces cut anywhere, as lines of text."""

from __future__ import annotations

from gitdeploy.engine.cutting import hidden

LONGEST = 64 * 1024
"""Bytes after which a line is broken, so that output without newlines cannot fill the memory."""

MARGIN = 16 * 1024
"""Bytes of the longest secret that a line is not broken in."""

LEFT_OUT = "… the rest of this line is left out: it is long, and nowhere safe to break"


class Lines:
    """Collects bytes and gives them back as lines, without a newline; what is not UTF-8 shows as escapes such as \\xff."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[str]:
        """Take the next piece; return the lines that it completes."""
        *whole, rest = data.split(b"\n")
        lines: list[str] = []
        for line in whole:
            lines += self._parts(self._rest + line, LONGEST)
            lines += [] if self._skipping else [_text(self._rest)]
            self._rest, self._skipping = b"", False
        self._rest += rest
        if self._skipping or len(self._rest) > LONGEST + MARGIN:
            lines += self._parts(self._rest, LONGEST + MARGIN)
        return lines

    def rest(self) -> list[str]:
        """Return the last line, if the output ended without a newline; to be called once there is no more."""
        lines = self._parts(self._rest, LONGEST)
        rest, self._rest, self._skipping = self._rest, b"", False
        return [*lines, _text(rest)] if rest else lines

    def _parts(self, line: bytes, most: int) -> list[str]:
        """Break the line until at most `most` bytes are left, which become the rest; return the parts before."""
        parts = []
        start = 0
        while len(line) - start > most and not self._skipping:
            end = start + safe_break(line[start : start + LONGEST + MARGIN])
            self._skipping = end == start
            parts.append(LEFT_OUT if self._skipping else _text(line[start:end]))
            start = end
        self._rest = b"" if self._skipping else line[start:]
        return parts


def safe_break(line: bytes) -> int:
    """Return where to break a line of more than LONGEST bytes: between characters, in no secret; 0 for nowhere."""
    around = LONGEST - 2 * MARGIN
    whole = hidden(_decoded(line[around:]))
    back = 0
    while back <= 2 * MARGIN:
        cut = LONGEST - back
        while cut > LONGEST - back - 4 and line[cut] & 0xC0 == 0x80:  # a byte within a UTF-8 character
            cut -= 1
        if cut > around and hidden(_decoded(line[around:cut])) + hidden(_decoded(line[cut:])) == whole:
            return cut
        back = 2 * back or 1
    return 0


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


def _text(line: bytes) -> str:
    # A terminal would show what came after the last carriage return: progress bars draw over themselves.
    return _decoded(line.rstrip(b"\r").rpartition(b"\r")[2])
