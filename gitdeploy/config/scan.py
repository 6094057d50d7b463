"""Where the statements of a TOML text stand, so that one can be changed and the rest stay as a person wrote it. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r'''
      """ (?: \\. | [^\\] )*? """ "{0,2}     # multi-line strings may end in one or two quotes of their own
    | \'\'\' .*? \'\'\' '{0,2}
    | " (?: \\. | [^"\\\n] )* "
    | ' [^'\n]* '
    | \# [^\n]*
    | [\[\]{}=\n]
    | [^"'#\[\]{}=\n]+
    ''',
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Statement:
    """A table header or a key with its value.

    Attributes:
        table: path of the table that it opens or stands in.
        key: path of its key below that, () for a header.
        start: offset of its line.
        end: offset after its last line, that line's newline included.
        value: offsets of its value.
    """

    table: tuple[str, ...]
    key: tuple[str, ...]
    start: int
    end: int
    value: slice

    @property
    def path(self) -> tuple[str, ...]:
        """The whole path of what it defines."""
        return self.table + self.key


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a text in their order; the text must be one that tomllib reads."""
    table: tuple[str, ...] = ()
    start = 0
    while start < len(text):
        equals, stop, end = _statement_end(text, start)
        left = text[start : stop if equals < 0 else equals].strip()
        if equals >= 0:
            value = text[equals + 1 : stop]
            first = equals + 1 + len(value) - len(value.lstrip())
            yield Statement(table, _key_path(left), start, end, slice(first, first + len(value.strip())))
        elif left:
            table = _key_path(left.strip("[]"))
            yield Statement(table, (), start, end, slice(end, end))
        start = end


def _statement_end(text: str, start: int) -> tuple[int, int, int]:
    """Offsets of the `=` that ends the key (-1 if there is none), of the end before a comment, and of the next line."""
    equals, stop, depth, position = -1, -1, 0, start
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"no TOML at offset {position}")
        position = token.end()
        if token[0] == "\n" and depth == 0:
            return equals, token.start() if stop < 0 else stop, position
        if token[0].startswith("#") and depth == 0:
            stop = token.start()
        elif token[0] == "=" and equals < 0:
            equals = token.start()
        elif equals >= 0:
            depth += (token[0] in "[{") - (token[0] in "]}")
    return equals, position if stop < 0 else stop, position


def _key_path(key: str) -> tuple[str, ...]:
    """Return the parts of a dotted key, unquoted, by tomllib's own judgement."""
    path: list[str] = []
    found = tomllib.loads(f"{key} = 0")
    while isinstance(found, dict):
        path += found
        found = next(iter(found.values()))
    return tuple(path)
