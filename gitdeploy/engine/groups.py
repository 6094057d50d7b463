"""The lines of a Dockerfile in groups, each of which some builder could take for one instruction. Pure.

Versions of the builder differ in where an instruction begins and ends: in escapes at the end of a line, in spaces, comments,
directives and here-documents. What guards the box against a Dockerfile must see every instruction that any of them sees. So
nothing is parsed here: lines that any builder could join are a group, and an instruction may begin with each line of it.
Source: moby/buildkit, frontend/dockerfile/parser/parser.go and line_parsers.go, v0.8 to v0.25.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SETS = frozenset({"ARG", "ENV"})
SHELL = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "HEALTHCHECK"})
"""Instructions that are left to a shell, their flags aside."""

OTHERS = frozenset({"FROM", "ADD", "COPY", "LABEL", "EXPOSE", "USER", "WORKDIR", "VOLUME", "STOPSIGNAL", "MAINTAINER"})
KEYWORD = re.compile(r"((?:onbuild[\x00-\x20]+)*)([a-z]+)", re.I)
LONGEST_KEYWORD = 40
"""Characters in which an instruction's keyword, and ONBUILD before it, show."""

BLANKS = "".join(map(chr, range(33))) + "\x85\xa0\ufeff"
ESCAPES = ("\\", "`")

JOINT = re.compile(r"[\\`]*[\x00-\x20]*\n(?:[\x00-\x20]*(?:#[^\n]*)?\n)*")
"""What falls out where two lines are joined: the escape, and comments and empty lines between them."""


@dataclass(frozen=True)
class Beginning:
    """A line with which an instruction may begin.

    Attributes:
        line: from 1.
        keyword: in capitals.
        onbuild: whether it may be behind ONBUILD.
    """

    line: int
    keyword: str
    onbuild: bool


@dataclass(frozen=True)
class LineGroup:
    """Lines that some builder could take for one instruction.

    Attributes:
        line: the first, from 1.
        text: all of them.
        begins: where instructions may begin in it.
    """

    line: int
    text: str
    begins: tuple[Beginning, ...]

    @property
    def keywords(self) -> frozenset[str]:
        """With which an instruction may begin in it, in capitals."""
        return frozenset(begin.keyword for begin in self.begins)

    def text_from(self, line: int) -> str:
        """Return the text from a line on."""
        return self.text.split("\n", line - self.line)[-1]

    def joined(self, line: int) -> tuple[str, str]:
        """Return the text from a line on as one, as builders join it: with the blanks before the next line, and without."""
        text = self.text_from(line)
        return JOINT.sub("", text), re.sub(JOINT.pattern + r"[\x00-\x20]*", "", text)


def groups(text: str) -> Iterator[LineGroup]:
    """Yield the lines of a Dockerfile in groups."""
    lines = text.split("\n")
    start = 0
    for number, line in enumerate(lines):
        shown = line.strip(BLANKS)
        goes_on = shown.endswith(ESCAPES) or (number > start and (not shown or shown.startswith("#")))
        if not goes_on or number + 1 == len(lines):
            begins = (_begin(lines, at, number + 1) for at in range(start, number + 1))
            yield LineGroup(start + 1, "\n".join(lines[start : number + 1]), tuple(begin for begin in begins if begin))
            start = number + 1


def _begin(lines: list[str], number: int, end: int) -> Beginning | None:
    """Return what may begin with a line; an escape may cut its keyword in two."""
    begin = ""
    if not lines[number].strip(BLANKS + "\\`"):
        return None
    for line in lines[number : min(end, number + LONGEST_KEYWORD)]:
        shown = line.rstrip(BLANKS)
        begin += shown.rstrip("\\`") if begin else shown.rstrip("\\`").lstrip(BLANKS)
        if len(begin) >= LONGEST_KEYWORD or not shown.endswith(ESCAPES):
            break
    found = KEYWORD.match(begin)
    keyword = found[2].upper() if found else ""
    return Beginning(number + 1, keyword, bool(found and found[1])) if keyword in SETS | SHELL | OTHERS else None
