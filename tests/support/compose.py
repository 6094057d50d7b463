"""Reads a compose.yaml that is written plainly: mappings by indentation, lists of strings, one-line `[…]` and `{…}`, comments.

That is all the README's example needs, and whatever else stands there is an error here.
"""

from __future__ import annotations

import re

_PAIR = re.compile(r"([\w./-]+):(?: +(.*))?")


def parse(text: str) -> dict[str, object]:
    """The document. Raises ValueError for what this reader does not know."""
    lines = [line.split(" #")[0].rstrip() for line in text.splitlines()]
    rest = [(len(line) - len(line.lstrip()), line.strip()) for line in lines if line.lstrip() and line.lstrip()[0] != "#"]
    document = _block(rest, 0)
    if rest or not isinstance(document, dict):
        raise ValueError(f"cannot be read from here: {rest[:1]}")
    return document


def _block(rest: list[tuple[int, str]], indent: int) -> object:
    """The mapping or list whose lines stand at this indentation; takes them from `rest`."""
    if rest and rest[0][1].startswith("- "):
        items = []
        while rest and rest[0][0] == indent:
            items.append(_scalar(rest.pop(0)[1].removeprefix("- ")))
        return items
    found: dict[str, object] = {}
    while rest and rest[0][0] == indent:
        _, line = rest.pop(0)
        match = _PAIR.fullmatch(line)
        if not match or match[1] in found:
            raise ValueError(f"expected a new key, found {line!r}")
        deeper = match[2] is None and rest and rest[0][0] > indent
        found[match[1]] = _block(rest, rest[0][0]) if deeper else _scalar(match[2] or "")
    return found


def _scalar(text: str) -> object:
    if text.startswith("[") and text.endswith("]"):
        return [part.strip().strip('"') for part in text[1:-1].split(",")]
    if text.startswith("{") and text.endswith("}"):
        pairs = [pair.strip().split(": ", 1) for pair in text[1:-1].split(",") if pair.strip()]
        return {key: _scalar(value) for key, value in pairs}
    return {"true": True, "false": False}.get(text, text)
