"""How long the variables of a Dockerfile can get. Pure.

Lines that double each other's value keep an engine busy for hours. What a value is does not matter here, so that no spelling
hides it: it is at most as long as its text and all that the text may refer to. Builders differ in which characters a name may
have and in what they replace; this allows for each of them.
Source: moby/buildkit, frontend/dockerfile/shell/lex.go and parser/line_parsers.go, v0.8 to v0.25.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

REFERENCE = re.compile(r"(?:\$|\\u0024)(\{?)(\w*)")
"""In JSON, a dollar sign may be spelled `\\u0024`."""

REPLACED = re.compile(r"//?[^/}\\\"'$`]*/([^}\\\"'$`]*)\}")
"""`//pattern/replacement}` and `/pattern/replacement}`, where nothing in it needs a closer look."""

SIGNS = tuple("@*#?-$!\"'\\`")
"""Names of one sign, as shells have them; and what a flag loses before it is filled in: quotes and escapes."""

WORD = re.compile(r"""([A-Za-z_][A-Za-z0-9_]*)=(?:[^\s"'\\`]|"[^"\\`]*"|'[^'\\`]*')*(?:[ \t]+|$)""")
"""A name with its value, where no builder can take it for anything else."""

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
QUOTES = str.maketrans("", "", "\"'\\`")
"""What a name loses: quotes and both escape characters."""


class Lengths:
    """Upper bounds of the lengths of variables, in characters.

    Attributes:
        longest: beyond this a bound need not be exact.
    """

    def __init__(self, args: Mapping[str, str], longest: int) -> None:
        """Take the build arguments."""
        self.longest = longest
        self._known: dict[str, int] = {}
        self._any = 0  # what any variable may hold: its value was given to a name that holds a variable itself
        self._largest = 0
        for name, value in args.items():
            self._keep(name, len(value))

    @property
    def count(self) -> int:
        """How many variables are known."""
        return len(self._known)

    def known(self, variables: Iterable[str]) -> None:
        """Take variables that are there before, "NAME=VALUE" each."""
        for variable in variables:
            name, _, value = variable.partition("=")
            self._keep(name, len(value))

    def of(self, text: str) -> int:
        """Return how long a text is at most when all its variables are filled in.

        It is read from its end, for what replaces a part of a value may hold all that follows.
        """
        bound, end = 0, len(text)
        for found in reversed(list(REFERENCE.finditer(text))):
            bound += end - found.start()
            value = self._value(found[2]) if found[1] or found[2] or text.startswith(SIGNS, found.end()) else 0
            if found[1] and text.startswith("/", found.end()):
                plain = REPLACED.match(text, found.end())
                value += (value + 1) * (len(plain[1]) if plain else bound)
            bound += value
            end = found.start()
            if bound > self.longest:
                break
        return bound + end

    def values(self, text: str) -> int:
        """Return how long the values are, together, that a text refers to."""
        return sum(self._value(found[2]) for found in REFERENCE.finditer(text) if found[2])

    def set(self, text: str) -> None:
        """Take the text behind ARG or ENV: each name gets its own value, or all of the text where words are hard to tell."""
        text = text.strip()
        words, position = [], 0
        while found := WORD.match(text, position):
            words.append((found[1], self.of(found[0])))
            position = found.end()
        if position < len(text):
            bound = self.of(text)
            words = [(name, bound) for name in set(_names(text))]
        for name, bound in words:
            self._keep(name, bound)

    def _keep(self, name: str, bound: int) -> None:
        name = name.translate(QUOTES)
        if "$" in name:
            self._any = max(self._any, bound)
        self._known[name] = max(self._known.get(name, 0), bound)
        self._largest = max(self._largest, bound)

    def _value(self, name: str) -> int:
        """Return the bound of a variable; of one whose name builders may read in different ways that of the largest."""
        return max(self._known.get(name, 0), self._any) if PLAIN_NAME.fullmatch(name) else self._largest


def _names(text: str) -> Iterator[str]:
    """Yield all that may be a name: whatever stands before a "=" with a space before it, and one of the first words."""
    first, *others = text.split("=")
    words = first.split(None, 6)[:6]
    yield from words[:1] + [word for word in words[1:] if "$" not in word]
    yield from [*words, first][-1:] if others else ()
    for before in others[:-1]:
        yield from before.split()[-1:] if re.search(r"\s", before) else ()
