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

SPACES = re.compile(r"[\x00-\x20]+")

BLANKS = "".join(map(chr, [*range(33), *range(0x2000, 0x200B)])) + "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What Go calls white space (unicode.IsSpace), and all else up to the space."""

ESCAPES = ("\\", "`")


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
        first, *others = self.text_from(line).split("\n")
        parts = [first, *(other for other in others if not _skipped(other))]
        whole = [*(part.rstrip(BLANKS).rstrip("\\`") for part in parts[:-1]), parts[-1]]
        return "".join(whole), "".join([whole[0], *(part.lstrip(BLANKS) for part in whole[1:])])


def _skipped(line: str) -> bool:
    """Return whether builders leave a line out behind an escape: an empty one, or a comment. Pure."""
    shown = line.strip(BLANKS)
    return not shown or shown.startswith("#")


def groups(text: str, first: int = 1) -> Iterator[LineGroup]:
    """Yield the lines of a Dockerfile in groups; `first` is the number of its first line."""
    lines = text.split("\n")
    start = 0
    for number, line in enumerate(lines):
        goes_on = line.strip(BLANKS).endswith(ESCAPES) or (number > start and _skipped(line))
        if not goes_on or number + 1 == len(lines):
            group = lines[start : number + 1]
            yield LineGroup(start + first, "\n".join(group), tuple(_beginnings(group, start + first)))
            start = number + 1


def _beginnings(lines: list[str], first: int) -> Iterator[Beginning]:
    """Yield what may begin with each line; escapes may cut a keyword in pieces, with comments and empty lines between."""
    pieces: list[tuple[int, str, bool]] = []
    for number, line in enumerate(lines):
        shown = line.rstrip(BLANKS)
        plain = shown.rstrip("\\`")
        if plain.strip(BLANKS) and not _skipped(line):  # another builder has nothing left of it, either
            pieces.append((number, SPACES.sub(" ", plain)[: LONGEST_KEYWORD + 1], shown.endswith(ESCAPES)))
    for at, (number, piece, _) in enumerate(pieces):
        begin, last = piece.lstrip(BLANKS), at
        while pieces[last][2] and len(begin) < LONGEST_KEYWORD and last + 1 < len(pieces):
            last += 1
            begin += pieces[last][1]
        found = KEYWORD.match(begin)
        keyword = found[2].upper() if found else ""
        if found and keyword in SETS | SHELL | OTHERS:
            yield Beginning(number + first, keyword, bool(found[1]))
