"""Whether the variables of a Dockerfile make it grow beyond all measure. Pure.

Versions of the builder differ in where an instruction begins and ends: in escapes at the end of a line, in spaces, comments,
directives and here-documents. So nothing is parsed here. Lines that any builder could join are a group, and a group in which
any builder could see ARG or ENV begin sets every name that it mentions. What a base image sets counts for nothing.
Source: moby/buildkit, frontend/dockerfile/parser/parser.go and line_parsers.go, v0.8 to v0.25.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gitdeploy.engine.lengths import Lengths
from gitdeploy.errors import BuildFailed

LONGEST_VALUE = 1 << 18
"""Characters of one instruction, variables filled in: twice what Linux takes for a variable of a process."""

MOST_FILLED_IN = 1 << 24
"""Characters of all that is filled in."""

SETS = frozenset({"ARG", "ENV"})
SHELL = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "HEALTHCHECK"})
"""Instructions that are left to a shell, their flags aside."""

OTHERS = frozenset({"FROM", "ADD", "COPY", "LABEL", "EXPOSE", "USER", "WORKDIR", "VOLUME", "STOPSIGNAL", "MAINTAINER"})
KEYWORD = re.compile(r"((?:onbuild[\x00-\x20]+)*)([a-z]+)", re.I)
LONGEST_KEYWORD = 40
"""Characters in which an instruction's keyword, and ONBUILD before it, show."""

FLAGS = re.compile(r"[a-z]+(?:[\x00-\x20\\`]+--[^\x00-\x20\"'\\`]*(?:(?<!=)[\x00-\x20]+[^-\x00-\x20\"'\\`]\S*)?)*", re.I)
"""A keyword with its flags, each with the word behind it that some builder may take for its value."""

BLANKS = "".join(map(chr, range(33))) + "\x85\xa0\ufeff"
ESCAPES = ("\\", "`")

MOST_AGAIN = 40
"""How often one group is looked at: lines that nobody can tell from one instruction, and stages that ONBUILD is for."""

MOST_WORK = 1 << 22
"""Characters that this makes, all together."""


@dataclass(frozen=True)
class _Group:
    """Lines that some builder could take for one instruction.

    Attributes:
        line: the first, from 1.
        keywords: with which some builder could see an instruction begin in it, in capitals, line by line.
        sets: the text from each line on with which ARG or ENV could begin.
        onbuild: whether one of them may be behind ONBUILD.
    """

    line: int
    text: str
    keywords: tuple[str, ...]
    sets: tuple[str, ...]
    onbuild: bool


def require_modest(text: str, args: Mapping[str, str]) -> None:
    """Raise BuildFailed for an instruction that grows beyond LONGEST_VALUE, or a file that does beyond MOST_FILLED_IN.

    Args:
        text: the Dockerfile.
        args: the build arguments.
    """
    groups = list(_groups(text))
    lengths = Lengths(args, LONGEST_VALUE)
    delayed: list[_Group] = []  # ONBUILD, which takes place wherever a stage begins from this one
    stages = 0
    for group in groups:
        if delayed and "FROM" in group.keywords:
            stages += 1
            for again in delayed:
                _set(lengths, again, stages)
        if group.sets:
            _set(lengths, group)
            delayed += [group] if group.onbuild else []
    total, heredocs = 0, "<<" in text
    for group in groups:
        total += _filled_in(lengths, group, heredocs)
        if total > MOST_FILLED_IN:
            raise _refused(group)


def _set(lengths: Lengths, group: _Group, stages: int = 1) -> None:
    """Take what a group sets, from each line on with which it may begin. Raises BuildFailed."""
    often = max(len(group.sets), stages)
    if often > 1 and (often > MOST_AGAIN or often * len(group.text) > MOST_WORK):
        raise _refused(group)
    for text in group.sets:
        lengths.set(_behind_keyword(text) if len(group.keywords) == 1 else text)
        if lengths.of(text) - len(text) > LONGEST_VALUE:
            raise _refused(group)


def _filled_in(lengths: Lengths, group: _Group, heredocs: bool) -> int:
    """Return how many characters come in for variables. Raises BuildFailed for too many in one instruction."""
    text = group.text
    if group.keywords and SHELL.issuperset(group.keywords):
        if heredocs:  # this may be the text of one, which some builder fills in
            return lengths.values(text)
        instruction = text.strip(BLANKS)
        flags = FLAGS.match(instruction)
        if flags and not instruction.startswith(('"', "'", *ESCAPES), flags.end()):
            text = flags[0]
    grown = lengths.of(text) - len(text)
    if grown > LONGEST_VALUE:
        raise _refused(group)
    return grown


def _refused(group: _Group) -> BuildFailed:
    what = "/".join(sorted(group.keywords)) or "it"
    reason = f"line {group.line} of the Dockerfile: with its variables filled in, {what} may have more than"
    reason += f" {LONGEST_VALUE:,} characters, or the file more than {MOST_FILLED_IN:,}"
    return BuildFailed(reason, hint="shorten the values, or set them in RUN")


def _groups(text: str) -> Iterator[_Group]:
    """Yield the lines of a Dockerfile in groups."""
    lines = text.split("\n")
    start = 0
    for number, line in enumerate(lines):
        shown = line.strip(BLANKS)
        goes_on = shown.endswith(ESCAPES) or (number > start and (not shown or shown.startswith("#")))
        if not goes_on or number + 1 == len(lines):
            yield _group(lines, start, number + 1)
            start = number + 1


def _group(lines: list[str], start: int, end: int) -> _Group:
    keywords: list[str] = []
    sets: list[int] = []
    onbuild = False
    for number in range(start, end):
        found = _keyword(lines, number, end)
        keyword = found[2].upper() if found else ""
        if found and keyword in SETS | SHELL | OTHERS:
            keywords.append(keyword)
            onbuild = onbuild or bool(found[1])
            sets += [number] if keyword in SETS else []
    texts = ("\n".join(lines[number:end]) for number in sets[: MOST_AGAIN + 1])
    return _Group(start + 1, "\n".join(lines[start:end]), tuple(keywords), tuple(texts), onbuild)


def _keyword(lines: list[str], number: int, end: int) -> re.Match[str] | None:
    """Return the keyword of an instruction that may begin with a line; an escape may cut it in two."""
    begin = ""
    if not lines[number].strip(BLANKS + "\\`"):
        return None
    for line in lines[number : min(end, number + LONGEST_KEYWORD)]:
        shown = line.rstrip(BLANKS)
        begin += shown.rstrip("\\`") if begin else shown.rstrip("\\`").lstrip(BLANKS)
        if len(begin) >= LONGEST_KEYWORD or not shown.endswith(ESCAPES):
            break
    return KEYWORD.match(begin)


def _behind_keyword(text: str) -> str:
    """Return what stands behind the keyword, in one line, if every builder sees it so; else the text as it is."""
    parts = text.split("\n")
    if any(not part.strip(BLANKS) or part.strip(BLANKS).startswith("#") for part in parts[1:]):
        return text
    whole = "".join(part.removesuffix("\r")[:-1] for part in parts[:-1]) + parts[-1].removesuffix("\r")
    plain = re.match(r"[ \t]*[A-Za-z]+[ \t]+", whole)
    return whole[plain.end() :] if plain else text
