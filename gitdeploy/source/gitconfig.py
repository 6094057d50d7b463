"""Files in git's config syntax: .gitmodules of a tree, and a repository's own config.

The syntax is that of git-config(1), "Syntax", without includes: `include.path` is an entry like any other, and no file is
opened here. Reading takes time in proportion to the size, and an error says where and what was expected, never what is there:
it goes to people who may not read the file.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_LINES = 20_000
MAX_ENTRIES = 10_000

_BLANK = re.compile(rb"[ \t\n]*")
_SPACE = re.compile(rb"[ \t]*")
_COMMENT = re.compile(rb"[^\n]*")
_SECTION = re.compile(rb"([A-Za-z0-9.-]+)(?:[ \t]+\"((?:[^\"\\\n]|\\[^\n])*)\")?[ \t]*\]")
_KEY = re.compile(rb"[A-Za-z][A-Za-z0-9-]*")
_PLAIN = re.compile(rb'[^"\\\n;#]+')
_QUOTED = re.compile(rb'[^"\\\n]+')
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"b": b"\b", b"\\": b"\\", b'"': b'"', b"\n": b""}


class BadConfig(Exception):
    """The file is not in git's config syntax; the message says in which line and what was expected."""


class ConfigEntry(NamedTuple):
    """One setting.

    Attributes:
        section: in lower case; of the old form `[a.b]` the part before the dot.
        subsection: as written, None if there is none.
        key: in lower case.
        value: None for a key without "=", which means true.
        line: where it begins, from 1.
    """

    section: str
    subsection: bytes | None
    key: str
    value: bytes | None
    line: int


def read_config(data: bytes) -> list[ConfigEntry]:
    """Return the settings of a file, in their order. Takes its bytes, which the caller has bounded; raises BadConfig."""
    data = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    if data.count(b"\n") > MAX_LINES:
        raise BadConfig(f"expected at most {MAX_LINES:,} lines")
    return _Reader(data + b"\n").run()


class _Reader:
    """A position in a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._lines = (1, 0)  # the line of a position, to count on from

    def run(self) -> list[ConfigEntry]:
        entries: list[ConfigEntry] = []
        where: tuple[str, bytes | None] | None = None
        while True:
            self._take(_BLANK)
            next_byte = self._data[self._at : self._at + 1]
            if not next_byte:
                return entries
            if next_byte in b"#;":
                self._take(_COMMENT)
            elif next_byte == b"[":
                self._at += 1
                where = self._section()
            elif where is None:
                raise self._bad("a section such as [core] before the first key")
            else:
                entries.append(self._entry(*where))
                if len(entries) > MAX_ENTRIES:
                    raise self._bad(f"at most {MAX_ENTRIES:,} settings")

    def _section(self) -> tuple[str, bytes | None]:
        match = _SECTION.match(self._data, self._at)
        if not match:
            raise self._bad('a section: [name] or [name "subsection"]')
        self._at = match.end()
        name, subsection = match[1].decode().lower(), match[2]
        if subsection is not None:
            return name, re.sub(rb"\\(.)", rb"\1", subsection)
        name, dot, rest = name.partition(".")
        return name, rest.encode() if dot else None

    def _entry(self, section: str, subsection: bytes | None) -> ConfigEntry:
        line = self._line()
        key = self._take(_KEY)
        if not key:
            raise self._bad("a key: a letter, then letters, digits and '-'")
        self._take(_SPACE)
        found = self._data[self._at : self._at + 1]
        value = None
        if found == b"=":
            self._at += 1
            self._take(_SPACE)
            value = self._value()
        elif found and found not in b"\n#;":
            raise self._bad("'=' behind a key")
        return ConfigEntry(section, subsection, key.decode().lower(), value, line)

    def _value(self) -> bytes:
        """Return what follows "=": quotes and escapes undone, comments and the spaces at its end left off."""
        parts: list[bytes] = []
        quoted = False
        while True:
            plain = self._take(_QUOTED if quoted else _PLAIN)
            parts.append(plain)
            found = self._data[self._at : self._at + 1]
            if found == b"\\":
                parts.append(self._escape())
            elif found == b'"':
                self._at += 1
                quoted = not quoted
                parts.append(b"")  # spaces before a closing quote stay
            elif quoted:
                raise self._bad("a closing quote")
            else:
                parts[-1] = parts[-1].rstrip(b" \t")
                return b"".join(parts)

    def _escape(self) -> bytes:
        escaped = self._data[self._at + 1 : self._at + 2]
        if escaped not in _ESCAPES:
            raise self._bad(r"one of \n, \t, \b, \\, \" or a line that goes on behind a backslash")
        self._at += 2
        return _ESCAPES[escaped]

    def _take(self, pattern: re.Pattern[bytes]) -> bytes:
        match = pattern.match(self._data, self._at)
        if not match:
            return b""
        self._at = match.end()
        return match[0]

    def _line(self) -> int:
        line, at = self._lines
        self._lines = line + self._data.count(b"\n", at, self._at), self._at
        return self._lines[0]

    def _bad(self, expected: str) -> BadConfig:
        return BadConfig(f"line {self._line()}: expected {expected}")
