"""TOML text as Python data. Pure.

Read with the standard library's tomllib, for `toml` takes `a = [` without an error.
"""

from __future__ import annotations

import tomllib
from typing import Any

from gitdeploy.config.problems import Problems, quoted

MAX_CONFIG = 1_000_000
"""Bytes of the server's config.toml."""

MAX_TREE = 100_000
"""Bytes of a tree's gitdeploy.toml, which anybody who may push can write."""

MAX_DOTS = 100
"""In one line. The time that tomllib takes for a dotted key grows with the square of its parts: 4 s for 16,000."""


def parse_toml(data: bytes, limit: int, problems: Problems) -> dict[str, Any]:
    """Parse a file; what is wrong with it goes to `problems`, and then the result is {}.

    Args:
        data: the file's bytes.
        limit: how many it may have.
    """
    if len(data) > limit:
        problems.add("", f"expected at most {limit} bytes, found {len(data)}")
        return {}
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.add("", f"expected UTF-8, found the byte 0x{data[error.start]:02x} in line {line}")
        return {}
    for number, row in enumerate(text.split("\n"), 1):
        if row.count(".") > MAX_DOTS:
            problems.add("", f"expected at most {MAX_DOTS} dots in line {number}, found {row.count('.')}")
            return {}
    return _parse(text, problems)


def _parse(text: str, problems: Problems) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.add("", f"not valid TOML: {_printable(str(error))}")
    except ValueError:
        problems.add("", "not valid TOML: a number with too many digits")
    except RecursionError:
        problems.add("", "not valid TOML: arrays or tables nested too deep")
    return {}


def _printable(message: str) -> str:
    return quoted(message, 200)[1:-1]
