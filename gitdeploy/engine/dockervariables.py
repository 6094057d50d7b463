"""Variables in a Dockerfile: `$name`, `${name}`, `${name:-default}`, `${name:+other}`. Pure.

Ten lines that double each other's value make megabytes, so that values have a length, and all of them together have one.
Source: https://docs.docker.com/reference/dockerfile/#environment-replacement
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 4096
"""Characters of a value; what is longer counts as unknown. No image has a name of more than 255."""

MOST = 1 << 20
"""Characters of all values that are filled in, together; what comes after counts as unknown."""

START = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{)")
BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?[-+])?")


class UnknownError(ValueError):
    """What this text stands for is not known here."""


class Variables:
    """The variables that stand before the first FROM."""

    def __init__(self) -> None:
        self._values: dict[str, str | None] = {}  # None: it has a value that is not known
        self._left = MOST

    def set(self, name: str, value: str | None) -> None:
        """Give a variable its value, None for one that is not known."""
        self._values[name] = value

    def expand(self, text: str) -> str | None:
        """Return the text with all filled in, None where that is not known: nested variables, quotes within, too long."""
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            quote, text = text[0], text[1:-1]
            if quote == "'" and "$" in text:
                return None
        if len(text) > LONGEST:
            return None
        if "$" not in text:
            return None if re.search(r"[\"'\\]", text) else text
        parts: list[str] = []
        length = 0
        try:
            for part in self._parts(text):
                parts.append(part)
                length += len(part)
                if length > min(LONGEST, self._left):
                    return None
        except UnknownError:
            return None
        self._left -= length
        return "".join(parts)

    def _parts(self, text: str) -> Iterator[str]:
        position = 0
        while found := START.search(text, position):
            yield _plain(text[position : found.start()])
            position = found.end()
            if found[1]:
                yield self._value(found[1])
                continue
            end = text.find("}", position)
            inner = BRACED.match(text, position)
            if end < 0 or inner is None:
                raise UnknownError
            yield self._braced(inner, _plain(text[inner.end() : end]))
            position = end + 1
        yield _plain(text[position:])

    def _braced(self, inner: re.Match[str], other: str) -> str:
        name, operator = inner[1], inner[2] or ""
        if not operator:
            if other:
                raise UnknownError
            return self._value(name)
        value = self._values.get(name, "")
        if value is None:
            raise UnknownError
        given = bool(value) if operator.startswith(":") else name in self._values
        if operator.endswith("+"):
            return other if given else ""
        return value if given else other

    def _value(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            raise UnknownError
        return value


def _plain(text: str) -> str:
    """Return the text, if it stands for itself."""
    if re.search(r"[\"'\\$]", text):
        raise UnknownError
    return text
