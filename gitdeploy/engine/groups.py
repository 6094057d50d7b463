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

from gitdeploy.engine.directives import BOM
from gitdeploy.errors import BuildFailed

SETS = frozenset({"ARG", "ENV"})
SHELL = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "HEALTHCHECK"})
"""Instructions that are left to a shell, their flags aside."""

OTHERS = frozenset({"FROM", "ADD", "COPY", "LABEL", "EXPOSE", "USER", "WORKDIR", "VOLUME", "STOPSIGNAL", "MAINTAINER"})
KEYWORD = re.compile(r"((?:onbuild[ \t]+)*)([a-z]+)(?=[ \t]|$)", re.I)
PREFIXES = {word[:size] for word in SETS | SHELL | OTHERS | {"ONBUILD"} for size in range(len(word) + 1)}
UNDECIDED = re.compile(rf"(?:onbuild )*(?:{'|'.join(sorted(PREFIXES))})", re.I)
"""What more letters may still make a keyword of."""

LONGEST_KEYWORD = 20
"""Characters in which an instruction's keyword shows, and the one ONBUILD that may stand before it."""

BLANKS = " \t\r"
SPACES = re.compile(r"[ \t]+")
COMMENT = re.compile(r"[ \t]*#")
ODD = re.compile("[\0-\x08\x0b-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\ufffd]")
"""What parts words for one builder, or one part of it, and is a letter to another: Go's unicode.IsSpace, and controls.

ONBUILD takes off a byte order mark, as a file does; the last stands for bytes that are no UTF-8.
"""

ESCAPES = ("\\", "`")


def require_plain(lines: list[str], first: int) -> None:
    """Raise BuildFailed if a line that is no comment has ODD characters; `first` is the number of the first line.

    With them, nobody can say for all builders where a word or a line ends.
    """
    for number, line in enumerate(lines, first):
        odd = ODD.search(line.removesuffix("\r"))
        if odd and not COMMENT.match(line):
            found = "bytes that are none" if odd[0] == "\ufffd" else f"U+{ord(odd[0]):04X}"
            where = f"line {number} of the Dockerfile" if number > 0 else "ONBUILD of a base image"
            hint = "replace it by a plain space, or move the text into a file of its own"
            raise BuildFailed(f"{where}: expected UTF-8 with plain spaces and tabs, found {found}", hint=hint)


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
        whole = [*(_without_escape(part) for part in parts[:-1]), parts[-1]]
        return "".join(whole), "".join([whole[0], *(part.lstrip(BLANKS) for part in whole[1:])])


def _without_escape(line: str) -> str:
    """Return a line without the escape at its end. Pure."""
    shown = line.rstrip(BLANKS)
    return shown[:-1] if shown.endswith(ESCAPES) else shown


def _skipped(line: str) -> bool:
    """Return whether builders leave a line out behind an escape: an empty one, or a comment. Pure."""
    shown = line.strip(BLANKS)
    return not shown or shown.startswith("#")


def groups(text: str, first: int = 1) -> Iterator[LineGroup]:
    """Yield the lines of a Dockerfile in groups; `first` is the number of its first line. Raises BuildFailed for odd ones."""
    lines = text.removeprefix(BOM).split("\n")
    require_plain(lines, first)
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
        piece = SPACES.sub(" ", shown.rstrip("\\`"))[: LONGEST_KEYWORD + 1]
        if not _skipped(line) and (piece.strip() or not pieces or pieces[-1][1].strip()):
            pieces.append((number, piece, shown.endswith(ESCAPES)))
    for at, (number, piece, _) in enumerate(pieces):
        for begin in _begins(pieces, at) if piece.strip() else ():
            found = KEYWORD.match(begin)
            keyword = found[2].upper() if found else ""
            if found and keyword in SETS | SHELL | OTHERS:
                yield Beginning(number + first, keyword, bool(found[1]))
                break


def _begins(pieces: list[tuple[int, str, bool]], at: int) -> tuple[str, ...]:
    """Return what an instruction may begin with, from this piece on. Pure.

    A piece that is blank but for the escape parts two words for one builder, and is nothing to another.
    """
    with_blanks = without = pieces[at][1].lstrip()
    while pieces[at][2] and at + 1 < len(pieces) and (UNDECIDED.fullmatch(with_blanks) or UNDECIDED.fullmatch(without)):
        at += 1
        piece = pieces[at][1]
        with_blanks += piece.lstrip() if with_blanks.endswith(" ") else piece
        without += piece if piece.strip() else ""
    return (with_blanks,) if with_blanks == without else (with_blanks, SPACES.sub(" ", without))
