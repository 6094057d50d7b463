"""As much of Groovy as a Jenkinsfile is read with: strings, names, assignments, arguments of calls. Pure; nothing is run.

Syntax: https://groovy-lang.org/syntax.html. What is not understood is passed over, token by token, so that no file is too odd.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

MAX_ARGUMENTS = 100
"""Tokens of one call or assignment: what is longer is a block or a trap."""

_TOKEN = re.compile(
    r"""
    (?P<long>(?P<triple>'''|\"\"\")(?:[^\\]|\\.)*?(?P=triple))
  | (?P<string>'(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*")
  | (?P<comment>//[^\n]* | /\*.*?(?:\*/|\Z) | \#![^\n]*)
  | (?P<name>[A-Za-z_]\w*(?:\??\.[A-Za-z_]\w*)*)
  | (?P<number>\d+)
  | (?P<newline>\n)
  | (?P<space>[^\S\n]+)
  | (?P<mark>==|->|.)
    """,
    re.VERBOSE | re.DOTALL,
)

# A backslash before a line's end stays: the shell reads it, and lines can still be counted.
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([^\n]))")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "s": " ", "0": "\\0"}


@dataclass(frozen=True)
class Token:
    """A piece of a Jenkinsfile.

    Attributes:
        text: of a string, what is in it; else as written.
        line: in which it begins, from 1.
    """

    kind: Literal["string", "name", "number", "newline", "mark"]
    text: str
    line: int


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call, each as its tokens."""

    positional: list[list[Token]] = field(default_factory=list)
    named: dict[str, list[Token]] = field(default_factory=dict)

    def get(self, name: str, position: int = 0) -> list[Token]:
        """Return the argument of that name, else the one at that position, else nothing."""
        if name in self.named:
            return self.named[name]
        return self.positional[position] if position < len(self.positional) else []


def tokens(text: str) -> list[Token]:
    """Return the tokens of a file, without comments and blanks."""
    found: list[Token] = []
    line = 1
    for match in _TOKEN.finditer(text):
        kind, raw = match.lastgroup, match[0]
        if kind in ("long", "string"):
            quotes = 3 if kind == "long" else 1
            found.append(Token("string", _unescaped(raw[quotes:-quotes]), line))
        elif kind in ("name", "number", "newline", "mark"):
            found.append(Token(kind, raw.replace("?.", "."), line))  # type: ignore[arg-type]
        line += raw.count("\n")
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _ESCAPES.get(m[2], m[2]), text)


def arguments(found: Sequence[Token], start: int) -> tuple[Arguments, int]:
    """Return the arguments of the call whose name ends before `start`, with or without parentheses; and where they end.

    Also the right side of an assignment, as the first positional one.
    """
    closed = _mark(found, start) == "("
    parts: list[list[Token]] = [[]]
    depth, position = 0, start + closed
    end = min(len(found), position + MAX_ARGUMENTS)
    while position < end:
        token, mark = found[position], _mark(found, position)
        goes_on = closed or depth > 0 or (parts[-1] == [] and len(parts) > 1) or _mark(parts[-1], -1) == "+"
        if (depth == 0 and mark in (")", "}", "{", ";")) or (token.kind == "newline" and not goes_on):
            break
        depth += (mark in ("(", "[", "{")) - (mark in (")", "]", "}"))
        if mark == "," and depth == 0:
            parts.append([])
        elif token.kind != "newline":
            parts[-1].append(token)
        position += 1
    return _sorted(parts), position + closed


def _mark(found: Sequence[Token], position: int) -> str:
    """Return the punctuation at a position, "" if there is none."""
    if not -len(found) <= position < len(found) or found[position].kind != "mark":
        return ""
    return found[position].text


def _sorted(parts: list[list[Token]]) -> Arguments:
    result = Arguments()
    for part in parts:
        if len(part) > 2 and part[0].kind == "name" and part[1].text == ":":
            result.named[part[0].text] = part[2:]
        elif part:
            result.positional.append(part)
    return result


def template(expression: Sequence[Token]) -> str | None:
    """Return a concatenation of strings and names as text with ${NAME} in it; None for any other expression."""
    text, position, joined = "", 0, True
    while position < len(expression):
        token = expression[position]
        if token.kind == "mark" and token.text == "+":
            joined, position = True, position + 1
        elif token.kind == "mark" and token.text == "." and _is_trim(expression[position + 1 : position + 4]):
            position += 4
        elif not joined or token.kind in ("mark", "newline"):
            return None
        else:
            name = token.text.removesuffix(".trim").removesuffix(".toString")
            text += f"${{{name}}}" if token.kind == "name" else token.text
            called = name != token.text and [t.text for t in expression[position + 1 : position + 3]] == ["(", ")"]
            joined, position = False, position + (3 if called else 1)
    return text if text or expression else None


def _is_trim(following: Sequence[Token]) -> bool:
    return [token.text for token in following] in (["trim", "(", ")"], ["toString", "(", ")"])
