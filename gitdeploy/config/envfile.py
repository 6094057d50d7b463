"""Env files: NAME=VALUE lines, read as `docker run --env-file` reads them. Pure.

Source: docker/cli, pkg/kvfile and cli/compose/loader: lines end with \\n or \\r\\n alone, spaces before a name are dropped, a
value is everything behind the first "=", quotes included, and a line that begins with # is a comment.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from gitdeploy.errors import StageFailed

SPACE = b" \t\n\v\f\r"
SHELL_WORD = re.compile(rb"(export|set|setenv|declare)[ \t]")


def parse_env_file(data: bytes, path: Path) -> dict[str, str]:
    """Return the variables of an env file.

    Args:
        data: its content.
        path: of the file, for messages.

    Raises:
        StageFailed: a line cannot be read; the message holds the line's number, never its text.
    """
    values: dict[str, str] = {}
    last = b""
    for number, line in _lines(data):
        where = f"env_file: {path}, line {number}"
        name, equals, value = line.partition(b"=")
        if problem := _problem(line, name, equals, last):
            raise StageFailed(f"{where}: {problem[0]}", problem[1])
        try:
            values[name.decode()] = value.decode()
        except UnicodeDecodeError:
            hint = "save the file as UTF-8 (Latin-1, say: iconv -f latin1 -t utf-8)"
            raise StageFailed(f"{where}: expected UTF-8, found other bytes", hint) from None
        last = value
    return values


def env_file_values(data: bytes) -> list[str]:
    """Return all that may be a secret in an env file, however wrong its lines are: values, and lines without a "="."""
    parts = [line.partition(b"=") for _, line in _lines(data)]
    return [(value if equals else name).decode("utf-8", "replace") for name, equals, value in parts]


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number, from 1, and text of each line that is neither empty nor a comment."""
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        text = line.removesuffix(b"\r").lstrip(SPACE)
        if text and not text.startswith(b"#"):
            yield number, text


def _problem(line: bytes, name: bytes, equals: bytes, last: bytes) -> tuple[str, str] | None:
    """Return what is wrong with a line and what to do about it, None if nothing is; `last` is the value before it."""
    if last.startswith(b"-----BEGIN "):
        hint = "a value ends with its line: write it in one (base64 -w0), or mount the file with `volumes`"
        if line.startswith(b"-----END") or not equals or not re.fullmatch(rb"[A-Za-z_][A-Za-z0-9_]*", name):
            return "the key or certificate of the line before goes on here", hint
    if SHELL_WORD.match(line):
        word = line.split()[0].decode()
        return f"expected NAME=VALUE, found the shell's `{word}` before it", f"take `{word}` out: no shell reads this file"
    if not equals:
        hint = "write NAME=VALUE: docker would take the value from its own environment, and a server has none to give"
        return "expected NAME=VALUE, found no =", hint
    if not name or re.search(rb"\s", name):
        return "expected a name without spaces before the =", "write NAME=VALUE, with nothing around the ="
    if b"\0" in line:
        return "found a zero byte, which no variable can hold", "correct that line"
    return None
