"""Python data as TOML text, with the package `toml`. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import toml

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def dump_value(value: object) -> str:
    """Return a value as it stands after `=`; dicts as inline tables."""
    return str(_encoder().dump_value(value))


def dump_key(path: Iterable[str]) -> str:
    """Return a key, with dots between its parts and quotes where a part needs them."""
    return ".".join(part if _is_bare(part) else _basic_string(part) for part in path)


def dump_tables(data: dict[str, Any]) -> str:
    """Return a document; dicts as tables."""
    return toml.dumps(data, encoder=_encoder())


def _encoder() -> toml.TomlEncoder[dict[str, Any]]:
    """toml's encoder with strings, arrays and inline tables of our own.

    toml 0.10 fails on some control characters in strings, ends arrays in a comma and has no inline tables for plain dicts.
    """
    encoder: toml.TomlEncoder[dict[str, Any]] = toml.TomlEncoder()

    def array(items: Iterable[object]) -> str:
        return "[" + ", ".join(str(encoder.dump_value(item)) for item in items) + "]"

    def inline_table(table: dict[str, object]) -> str:
        items = ", ".join(f"{dump_key([name])} = {encoder.dump_value(value)}" for name, value in table.items())
        return f"{{ {items} }}" if items else "{}"

    encoder.dump_funcs.update({str: _basic_string, list: array, dict: inline_table})
    return encoder


def _basic_string(text: str) -> str:
    """Return a basic string (toml.io/en/v1.0.0#string): control characters and what one cannot see are escaped."""
    escaped = (_ESCAPES.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return '"' + "".join(escaped) + '"'


def _is_bare(part: str) -> bool:
    return part.isascii() and part.replace("-", "").replace("_", "").isalnum()
