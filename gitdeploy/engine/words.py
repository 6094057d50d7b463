"""The words of an instruction of a Dockerfile. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

SPACE = " \t\v\f\r\n"
PLAIN = re.compile(r"""[^ \t\v\f\r\n"'\\]+""")
QUOTED: Mapping[str, re.Pattern[str]] = {'"': re.compile(r'"(?:[^"\\]|\\.)*"', re.S), "'": re.compile(r"'[^']*'")}


def words_of(text: str) -> list[str]:
    """Return the text cut at spaces that are not within quotes; a quotation mark without a second one stands for itself."""
    words: list[str] = []
    start = position = 0
    single: set[str] = set()  # marks that have no second one in what follows, so that nobody looks for it again
    while position < len(text):
        character = text[position]
        if character in SPACE:
            if start < position:
                words.append(text[start:position])
            start = position = position + 1
        elif character == "\\":
            position += 2
        elif character in QUOTED:
            quoted = None if character in single else QUOTED[character].match(text, position)
            if quoted is None:
                single.add(character)
            position = quoted.end() if quoted else position + 1
        else:
            plain = PLAIN.match(text, position)
            position = plain.end() if plain else position + 1
    return [*words, text[start:]] if start < len(text) else words
