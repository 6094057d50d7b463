"""VERSION: the file whose first line names the release and becomes the image's tag."""

from __future__ import annotations

import re

from gitdeploy.errors import StageFailed

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
"""A Docker tag (https://pkg.go.dev/github.com/distribution/reference#TagRegexp)."""

MAX_TAG = 128
MAX_SHOWN = 60

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]+")


def read_version(data: bytes | None) -> str:
    """Return the version in a VERSION file: its first line, trimmed; a byte order mark and CRLF are tolerated.

    Takes the content of the file, None if there is no such file.

    Raises:
        StageFailed: it is missing or empty, or its first line is no Docker tag.
    """
    if data is None:
        raise _failed("there is no file VERSION at the root of the pushed tree")
    if data.startswith(_UTF_16):
        raise _failed("VERSION is UTF-16 text, as PowerShell's > writes it", "save it as UTF-8: Set-Content VERSION 1.0.0")
    try:
        line = data.removeprefix(_BOM).split(b"\n", 1)[0].decode().strip()
    except UnicodeDecodeError:
        raise _failed("VERSION holds bytes that are no text") from None
    if not line:
        raise _failed("VERSION is empty" if not data.strip() else "the first line of VERSION is empty")
    if TAG.fullmatch(line):
        return line
    if len(line) > MAX_TAG:
        raise _failed(f"the first line of VERSION has {len(line):,} characters, expected at most {MAX_TAG}")
    reason = f"VERSION says {line[:MAX_SHOWN]!r}, expected an image tag: letters, digits, _ . and -, not beginning with . or -"
    raise _failed(reason, _suggestion(line))


def _suggestion(line: str) -> str:
    tag = _NOT_IN_TAG.sub("-", line).strip(".-")
    return f"write {tag} into VERSION, commit and push" if TAG.fullmatch(tag) else ""


def _failed(reason: str, hint: str = "") -> StageFailed:
    return StageFailed(reason, hint or "write one line like 1.0.0 into VERSION, commit and push")
