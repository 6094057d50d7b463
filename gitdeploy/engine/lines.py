"""A program's output, which comes in pieces cut anywhere, as lines of text. Pure."""

from __future__ import annotations

LONGEST = 64 * 1024
"""Bytes after which a line is broken, so that output without newlines cannot fill the memory."""


class Lines:
    """Collects bytes and gives them back as lines, without a newline; what is not UTF-8 shows as escapes such as \\xff."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Takes the next piece; returns the lines that it completes."""
        *whole, rest = data.split(b"\n")
        if whole:
            whole[0] = self._rest + whole[0]
            self._rest = rest
        else:
            self._rest += rest
        lines = [part for line in whole for part in _parts(line)]
        if len(self._rest) > LONGEST:
            *parts, self._rest = _parts(self._rest)
            lines += parts
        return [_text(line) for line in lines]

    def rest(self) -> list[str]:
        """The last line, if the output ended without a newline; to be called once there is no more."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _parts(line: bytes) -> list[bytes]:
    """The line in parts of at most LONGEST bytes, cut between characters."""
    parts = []
    start = 0
    while len(line) - start > LONGEST:
        cut = start + LONGEST
        while cut > start + LONGEST - 4 and line[cut] & 0xC0 == 0x80:  # a byte within a UTF-8 character
            cut -= 1
        parts.append(line[start:cut])
        start = cut
    return [*parts, line[start:]]


def _text(line: bytes) -> str:
    # A terminal would show what came after the last carriage return: progress bars draw over themselves.
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "backslashreplace")
