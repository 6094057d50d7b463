"""Runs the regular expressions that Docker makes of .dockerignore patterns, as Go does: in time linear in the text.

Whoever may push writes these patterns, and Python's `re` needs exponential time for some. Of Go's syntax
(https://pkg.go.dev/regexp/syntax) this knows what such an expression can contain: characters, escaped punctuation, `^`,
character classes, `CLASS*`, `.*` and `(.*/)?`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gitdeploy.source.text import printable

Test = Callable[[str], bool]

ANY_DIRECTORIES = "(.*/)?"
_REPEAT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_ALPHANUMERIC = frozenset(string.ascii_letters + string.digits)


class BadPattern(ValueError):
    """Docker would refuse the pattern, or means something by it that nobody means."""


@dataclass
class Budget:
    """How much work the automata of one file may still have; ordinary ones need a hundredth of it."""

    left: int = 1_000_000


class Atom(NamedTuple):
    """One step of an expression.

    Attributes:
        test: says whether it takes a character; None for a step that takes none.
        repeat: whether it takes any number of them, none too.
        skip: how many steps may be left out from here on.
        at_start: whether it can be passed before the first character only (`^`).
    """

    test: Test | None
    repeat: bool = False
    skip: int = 0
    at_start: bool = False


class Reached(dict[str, "Reached"]):
    """A state of the automaton: character → next state, filled in when it is first needed.

    Attributes:
        accepts: whether the text so far matches.
    """

    def __init__(self, program: Program, positions: frozenset[int]) -> None:
        super().__init__()
        self._program = program
        self._positions = positions
        self.accepts = program.end in positions

    def __missing__(self, character: str) -> Reached:
        following = self[character] = self._program.step(self._positions, character)
        return following

    def after(self, text: str) -> Reached:
        """Return the state that a text leads to from here."""
        state = self
        for character in text:
            state = state[character]
        return state


class Program:
    """An expression, matched against whole texts. Raises BadPattern if it is none, and when the budget is spent."""

    def __init__(self, expression: str, budget: Budget) -> None:
        self._atoms = list(_parse(expression))
        self._budget = budget
        self._states: dict[frozenset[int], Reached] = {}
        self.end = len(self._atoms)
        self.start = self._state({0}, at_start=True)

    def step(self, positions: frozenset[int], character: str) -> Reached:
        """Return where a character leads from these steps."""
        self._budget.left -= len(positions)
        if self._budget.left < 0:
            raise BadPattern("its patterns need too much time for the names in this tree")
        following = set()
        for i in positions:
            test = self._atoms[i].test if i < self.end else None
            if test and test(character):
                following.add(i if self._atoms[i].repeat else i + 1)
        return self._state(following)

    def _state(self, positions: set[int], at_start: bool = False) -> Reached:
        """Return the state of being at any of these steps, or at one that is reached from them without a character."""
        todo = list(positions)
        reached = set(positions)
        while todo:
            i = todo.pop()
            if i == self.end:
                continue
            atom = self._atoms[i]
            free = {i + 1} if atom.repeat or atom.skip or (atom.at_start and at_start) else set()
            free |= {i + atom.skip}
            todo.extend(free - reached)
            reached |= free
        key = frozenset(reached)
        if key not in self._states:
            self._states[key] = Reached(self, key)
        return self._states[key]


def _parse(expression: str) -> Iterator[Atom]:
    i = 0
    while i < len(expression):
        character = expression[i]
        if expression.startswith(ANY_DIRECTORIES, i):
            yield from (Atom(None, skip=3), Atom(_not_newline, repeat=True), Atom("/".__eq__))
            i += len(ANY_DIRECTORIES)
        elif expression.startswith(".*", i):
            yield Atom(_not_newline, repeat=True)
            i += 2
        elif character == "^":
            yield Atom(None, at_start=True)
            i += 1
        elif character == "[":
            test, i = _parse_class(expression, i + 1)
            repeat = expression.startswith("*", i)
            yield Atom(test, repeat)
            i += repeat
        elif character == "|" or _REPEAT.match(expression, i):
            raise BadPattern(f"Docker takes {printable(character)} for a regular expression's; use ? in its place")
        else:
            literal, i = _character(expression, i)
            yield Atom(literal.__eq__)


def _not_newline(character: str) -> bool:
    return character != "\n"


def _character(expression: str, i: int) -> tuple[str, int]:
    """Return the character at i, escaped or not, and where the next one begins."""
    if expression[i] != "\\":
        return expression[i], i + 1
    escaped = expression[i + 1 : i + 2]
    if not escaped or not escaped.isascii() or escaped in _ALPHANUMERIC:
        raise BadPattern(f"Docker takes \\{printable(escaped)} for a regular expression's; write it without the backslash")
    return escaped, i + 2


def _parse_class(expression: str, i: int) -> tuple[Test, int]:
    """Return what a class accepts; takes and returns where its inside and where the rest begins."""
    negated = expression.startswith("^", i)
    i += negated
    ranges = []
    first = True
    while first or expression[i : i + 1] != "]":
        first = False
        if i >= len(expression):
            raise BadPattern("a [ without its ]")
        if expression.startswith("[:", i):
            raise BadPattern("Docker takes [: for a regular expression's; put the : in front of the [")
        low, i = _character(expression, i)
        high = low
        if expression.startswith("-", i) and expression[i + 1 : i + 2] not in ("", "]"):
            if i + 1 >= len(expression):
                raise BadPattern("a [ without its ]")
            high, i = _character(expression, i + 1)
        if high < low:
            raise BadPattern(f"the range {printable(low)}-{printable(high)} is empty")
        ranges.append((low, high))
    found = tuple(ranges)

    def test(character: str) -> bool:
        return any(low <= character <= high for low, high in found) != negated

    return test, i + 1
