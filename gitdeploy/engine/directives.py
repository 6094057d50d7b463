"""What a Dockerfile says before its first instruction: parser directives, above all which frontend reads the rest. Pure.

Source: moby/buildkit, frontend/dockerfile/parser/directives.go (DetectSyntax), v0.8 to v0.25, which differ in detail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

BOM = "\ufeff"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
COMMENTS = ("#", "//")
"""How the lines begin in which BuildKit looks for a frontend; the second in newer versions only."""


OLD_DIRECTIVES = ("escape", "syntax")
"""Those that BuildKit 0.8 knows."""


def directives(lines: list[str], known: Collection[str] = ()) -> dict[str, str]:
    """Return the comments `# name=value` before everything else; the first of a name counts.

    Takes the names at whose end a builder goes on to look, none for any.
    """
    found: dict[str, str] = {}
    for line in lines:
        name, value = _pair(line, ("#",))
        if not (value and NAME.fullmatch(name)) or (known and name.lower() not in known):
            break
        found.setdefault(name.lower(), value)
    return found


def syntax_image(text: str) -> str:
    """Return the image of the frontend that `# syntax=` names, "" if it names none."""
    return directives(text.removeprefix(BOM).split("\n")).get("syntax", "").partition(" ")[0]


def frontends(text: str) -> Iterator[tuple[int, str]]:
    """Yield every frontend that some version of BuildKit may take for this file's: line, from 1, and image as it is named.

    Versions differ in which of two directives counts, and in whether a shebang, `//` or JSON may come first. So this reads
    more than any of them: all comments that the file begins with. "" as the image: it is there and cannot be read.
    """
    lines = text.removeprefix(BOM).split("\n")
    start = 1 if lines[0].startswith("#!") else 0
    for number, line in enumerate(lines[start:], start + 1):
        if not line.strip().startswith(COMMENTS):
            break
        name, value = _pair(line, COMMENTS)
        if name.lower() == "syntax" and value:
            yield number, value.partition(" ")[0]
    body = "\n".join(lines[start:])
    if body.lstrip(" \t\r\n").startswith("{"):
        yield start + 1, _json_syntax(body)


def _pair(line: str, comments: tuple[str, ...]) -> tuple[str, str]:
    """Name and value of a comment `# name = value`, "" for what it lacks."""
    text = line.strip()
    prefix = next((comment for comment in comments if text.startswith(comment)), None)
    if prefix is None:
        return "", ""
    name, _, value = text.removeprefix(prefix).partition("=")
    return name.strip(), value.strip()


def _json_syntax(text: str) -> str:
    """Return the frontend of a file that begins with a JSON object; "" where versions may differ in what they read there."""
    pairs: list[tuple[str, object]] = []

    def collect(found: list[tuple[str, object]]) -> dict[str, object]:
        pairs[:] = found  # of the outermost object at last
        return dict(found)

    try:
        json.loads(text, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return ""
    named = [(key, value) for key, value in pairs if key.casefold() == "syntax"]
    if len(named) != 1 or named[0][0] != "syntax":  # Go takes a key in any case, and the last of several
        return ""
    return named[0][1] if isinstance(named[0][1], str) else ""
