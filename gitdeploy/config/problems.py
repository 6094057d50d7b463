"""What is wrong in a config file, collected so that a person sees all of it at once, in words that are safe to print.

The text of a tree's file is written by whoever may push: values are shown shortened and with control characters escaped,
values that may be secret are not shown at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from gitdeploy.errors import ConfigError

MAX_PROBLEMS = 50
"""More are counted, not listed: a hostile file has thousands."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
_TYPES = {bool: "true or false", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "a table"}


class BadValue(Exception):
    """A value is not what its key takes.

    Attributes:
        expected: what would be right, completing "expected …".
        value: what was found.
        at: where inside the key's value, for example "[1]", or "".
    """

    def __init__(self, expected: str, value: object, at: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.value = value
        self.at = at


class BadName(BadValue):
    """A name in a table is not of the form that names have there; unlike a value it is no secret."""


class Problems:
    """The mistakes of one file."""

    def __init__(self, source: str) -> None:
        """`source`: how the file is called in messages."""
        self.source = source
        self.found: list[str] = []
        self._unlisted = 0

    def __len__(self) -> int:
        return len(self.found) + self._unlisted

    def add(self, key: str, text: str) -> None:
        """One mistake; `key` in its displayed form (`join_key`), "" where it is the file as a whole."""
        if self._full():
            return
        self.found.append(": ".join(part for part in (self.source, key, text) if part))

    def bad_value(self, key: str, bad: BadValue, *, secret: bool = False) -> None:
        """Note a value of the wrong type or form; one that may be secret is named by its type only."""
        found = type_name(bad.value) if secret and not isinstance(bad, BadName) else shown(bad.value)
        self.add(key + bad.at, f"expected {bad.expected}, found {found}")

    def unknown(self, prefix: Sequence[str], path: Sequence[str], known: Iterable[str]) -> None:
        """Note a key that does not exist, and name the nearest one.

        Args:
            prefix: the table that the known keys are in, as the path of a key.
            path: of the key, from there.
            known: paths of keys, dotted, from there.
        """
        if not self._full():  # difflib is slow: a file of ten thousand unknown keys must not buy minutes of it
            near = nearest(".".join(path), list(known))
            text = f"unknown key; did you mean {join_key([*prefix, *near.split('.')])}?" if near else "unknown key"
            self.found.append(f"{self.source}: {join_key([*prefix, *path])}: {text}")

    def require_none(self, hint: str = "") -> None:
        """Raise ConfigError with everything that was added."""
        if not self.found:
            return
        rest = [f"{self.source}: and {self._unlisted} more"] if self._unlisted else []
        raise ConfigError([*self.found, *rest], hint)

    def _full(self) -> bool:
        if len(self.found) < MAX_PROBLEMS:
            return False
        self._unlisted += 1
        return True


def nearest(path: str, known: Sequence[str]) -> str:
    """Return the known key that was probably meant: the same name in another table, else a similar one; "" if there is none."""
    path = path[:100]
    leaf = path.rpartition(".")[2]
    same_name = [key for key in known if key.rpartition(".")[2] == leaf]
    similar = same_name or _close(path, known) or _similar_leaf(leaf, known)
    return similar[0] if similar else ""


def _similar_leaf(leaf: str, known: Sequence[str]) -> list[str]:
    leaves = {key.rpartition(".")[2]: key for key in known}
    return [leaves[match] for match in _close(leaf, leaves)]


def _close(word: str, known: Iterable[str]) -> list[str]:
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    return get_close_matches(word, known, 1, 0.7)


def join_key(path: Iterable[str]) -> str:
    """Return a key as one would write it in TOML: apps."owner/repo".build.args; safe to print."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else quoted(part) for part in path)


def quoted(text: str, limit: int = 60) -> str:
    """Return the text in quotes, printable and at most `limit` characters of it."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + '"'


def type_name(value: object) -> str:
    """Return what kind of TOML value it is, for people."""
    return _TYPES.get(type(value), "a date or time")


def shown(value: object) -> str:
    """Return the value for people: short, printable; arrays and tables by name, for they may be nested without end."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "an integer of more than 18 digits"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"{value} (no finite number)"
    return type_name(value)
