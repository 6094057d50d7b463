"""The commands of a shell script, as words. Pure; nothing is run, expanded or substituted.

Language: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html, of which loops, functions and
here-documents are read as if their lines were plain commands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from gitdeploy.jenkinsfile.parameters import VERSION, Parameters, reads_version

UNKNOWN = "${…}"
"""Stands for the output of a command."""

LONGEST = 20_000
"""Characters of a line, with values filled in, that is read: shlex takes time by the square of a word's length."""

_OPERATORS = "();<>|&"
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_PREFIXES = {
    "sudo",
    "if",
    "then",
    "else",
    "elif",
    "while",
    "until",
    "do",
    "!",
    "{",
    "time",
    "nohup",
    "exec",
    "command",
    "env",
    "export",
}


@dataclass(frozen=True)
class Command:
    """One simple command.

    Attributes:
        words: the program and its arguments; () if it cannot be read.
        line: of the script, from 0.
        text: as it is written, for messages.
    """

    words: tuple[str, ...]
    line: int
    text: str


def commands(script: str, variables: Parameters) -> Iterator[Command]:
    """Yield the commands of a script, with known variables filled in."""
    for line, text in _logical_lines(script):
        filled_in = variables.resolve(_substituted(text))
        try:
            words = _split(filled_in) if len(filled_in) <= LONGEST else []
        except ValueError:  # a quotation that goes on in the next line
            words = []
        if not words:
            yield Command((), line, text.strip())
            continue
        for simple in _simple_commands(words):
            command, values = _without_prefixes(simple)
            if command:
                yield Command(tuple(command), line, " ".join(command))
            else:
                variables = variables.with_values({name: value for name, value in values.items() if "$" not in value})


def _logical_lines(script: str) -> Iterator[tuple[int, str]]:
    """Yield each line with those that a backslash adds to it, and where it begins; no comments, no empty lines."""
    begin, text = 0, ""
    for number, line in enumerate([*script.split("\n"), ""]):
        if not text:
            begin = number
        if line.endswith("\\"):
            text += line[:-1] + " "
            continue
        text += line
        if text.strip() and not text.lstrip().startswith("#"):
            yield begin, text
        text = ""


def _substituted(text: str) -> str:
    """Return the text with each $(command) and `command` replaced by what is known of its output."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        begin = min((found for sign in ("$(", "`") if (found := text.find(sign, position)) >= 0), default=-1)
        if begin < 0:
            break
        parts.append(text[position:begin])
        position = _end_of_substitution(text, begin)
        parts.append(_output(text[begin:position]))
    return "".join([*parts, text[position:]])


def _end_of_substitution(text: str, begin: int) -> int:
    if text[begin] == "`":
        end = text.find("`", begin + 1)
        return end + 1 if end >= 0 else len(text)
    depth = 0
    for position in range(begin + 1, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if depth == 0:
            return position + 1
    return len(text)


def _output(command: str) -> str:
    if command.strip("$()` ") == "pwd":
        return "."
    return VERSION if reads_version(command) else UNKNOWN


def _split(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)


def _simple_commands(words: list[str]) -> Iterator[list[str]]:
    """Parts between operators, without redirections, up to a comment."""
    simple: list[str] = []
    redirected = False
    for word in words:
        if word.startswith("#"):
            break
        if word and set(word) <= set(_OPERATORS):
            redirected = "<" in word or ">" in word
            if redirected:
                simple = simple[:-1] if simple and simple[-1].isdigit() else simple
            else:
                yield simple
                simple = []
        elif redirected:
            redirected = False
        else:
            simple.append(word)
    yield simple


def _without_prefixes(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words from the program on, and the variables that are set before it."""
    values: dict[str, str] = {}
    rest = list(reversed(words))
    while rest:
        assignment = _ASSIGNMENT.fullmatch(rest[-1])
        if assignment:
            values[assignment[1]] = assignment[2]
        elif rest[-1] not in _PREFIXES:
            break
        prefix = rest.pop()
        while prefix in ("sudo", "env") and rest and rest[-1].startswith("-"):
            rest.pop()
    return rest[::-1], values
