"""Whether a Dockerfile makes the engine work beyond all measure: by variables that grow, or by ONBUILD in many stages. Pure.

A group of lines in which any builder could see ARG or ENV begin sets every name that it mentions.
Source: moby/buildkit, frontend/dockerfile/parser/parser.go and line_parsers.go, v0.8 to v0.25.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gitdeploy.engine.groups import BLANKS, ESCAPES, SETS, SHELL, LineGroup, groups
from gitdeploy.engine.lengths import Lengths
from gitdeploy.engine.types import Image
from gitdeploy.errors import BuildFailed

LONGEST_VALUE = 1 << 18
"""Characters of one instruction, variables filled in: twice what Linux takes for a variable of a process."""

MOST_FILLED_IN = 1 << 24
"""Characters of all that is filled in."""

FLAGS = re.compile(r"[a-z]+(?:[\x00-\x20\\`]+--[^\x00-\x20\"'\\`]*(?:(?<!=)[\x00-\x20]+[^-\x00-\x20\"'\\`]\S*)?)*", re.I)
"""A keyword with its flags, each with the word behind it that some builder may take for its value."""

MOST_AGAIN = 40
"""How often one group is looked at: lines that nobody can tell from one instruction, and stages that ONBUILD is for."""

MOST_INSTRUCTIONS = 5000
"""An image has at most some 127 layers; stages and metadata may come to some more."""

MOST_LOOKS = 100_000
"""Instructions times variables: with each instruction, BuildKit 0.8 (engine 20.10) takes 50 µs or so for each variable."""

MOST_WORK = 1 << 22
"""Characters that this makes, all together."""


def require_modest(text: str, args: Mapping[str, str], bases: Iterable[Image] = ()) -> None:
    """Raise BuildFailed for a Dockerfile that is small and makes the engine work for minutes.

    That is one with an instruction that grows beyond LONGEST_VALUE, that does beyond MOST_FILLED_IN altogether, or that has
    too many instructions, those of ONBUILD counted for each stage that they may take place in, or too many variables for them.

    Args:
        text: the Dockerfile.
        args: the build arguments.
        bases: images that it builds on, as far as the engine has them: their variables and ONBUILD count, too.
    """
    lengths = Lengths(args, LONGEST_VALUE)
    brought = ""
    for base in bases:
        brought += "".join(f"ONBUILD {line}\n" for line in base.onbuild)
        lengths.known(base.env)
    delayed: list[LineGroup] = []  # ONBUILD, which takes place wherever a stage begins from this one
    stages = instructions = 0
    found = list(groups(brought + text, 1 - brought.count("\n")))
    for group in found:
        if delayed and "FROM" in group.keywords:
            stages += 1
            instructions += len(delayed)
            for again in delayed if instructions <= MOST_INSTRUCTIONS else ():
                _set(lengths, again, stages)
        instructions += len(group.begins)
        _set(lengths, group)
        if instructions > MOST_INSTRUCTIONS or instructions * lengths.count > MOST_LOOKS:
            reason = f"{_place(group)}: {instructions:,} instructions with {lengths.count:,} variables"
            reason += ", those of ONBUILD counted for each stage, are more than the engine can do in time"
            raise BuildFailed(reason, hint="put them into a script or an env file, and RUN that")
        delayed += [group] if any(begin.onbuild for begin in group.begins) else []
    total, heredocs = 0, "<<" in text
    for group in found:
        total += _filled_in(lengths, group, heredocs)
        if total > MOST_FILLED_IN:
            raise _refused(group)


def _set(lengths: Lengths, group: LineGroup, stages: int = 1) -> None:
    """Take what a group sets, from each line on with which it may begin. Raises BuildFailed."""
    sets = [begin.line for begin in group.begins if begin.keyword in SETS]
    often = max(len(sets), stages) if sets else 0
    if often > 1 and (often > MOST_AGAIN or often * len(group.text) > MOST_WORK):
        raise _refused(group)
    for line in sets:
        text = group.text_from(line)
        lengths.set(_behind_keyword(text) if len(group.begins) == 1 else text)
        if lengths.of(text) - len(text) > LONGEST_VALUE:
            raise _refused(group)


def _filled_in(lengths: Lengths, group: LineGroup, heredocs: bool) -> int:
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


def _place(group: LineGroup) -> str:
    return f"line {group.line} of the Dockerfile" if group.line > 0 else "ONBUILD of a base image"


def _refused(group: LineGroup) -> BuildFailed:
    what = "/".join(sorted(group.keywords)) or "it"
    reason = f"{_place(group)}: with its variables filled in, {what} may have more than"
    reason += f" {LONGEST_VALUE:,} characters, or the file more than {MOST_FILLED_IN:,}"
    return BuildFailed(reason, hint="shorten the values, or set them in RUN")


def _behind_keyword(text: str) -> str:
    """Return what stands behind the keyword, in one line, if every builder sees it so; else the text as it is."""
    parts = text.split("\n")
    if any(not part.strip(BLANKS) or part.strip(BLANKS).startswith("#") for part in parts[1:]):
        return text
    whole = "".join(part.removesuffix("\r")[:-1] for part in parts[:-1]) + parts[-1].removesuffix("\r")
    plain = re.match(r"[ \t]*[A-Za-z]+[ \t]+", whole)
    return whole[plain.end() :] if plain else text
