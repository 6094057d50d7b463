"""VERSION, or what `version_file` says: the file whose first line names the release and becomes the image's tag."""

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


def read_version(data: bytes | None, path: str = "VERSION") -> str:
    """Return the version in a file: its first line, trimmed; a byte order mark and CRLF are tolerated.

    Takes the content of the file, None if there is no such file, and its path in the tree.

    Raises:
        StageFailed: it is missing or empty, or its first line is no Docker tag.
    """
    write = f"write one line like 1.0.0 into {path}, commit and push"
    if data is None:
        where = " at the root of" if "/" not in path else " in"
        raise StageFailed(f"there is no file {path}{where} the pushed tree", write)
    if data.startswith(_UTF_16):
        raise StageFailed(f"{path} is UTF-16 text, as PowerShell's > writes it", f"save it as UTF-8: Set-Content {path} 1.0.0")
    try:
        line = data.removeprefix(_BOM).split(b"\n", 1)[0].decode().strip()
    except UnicodeDecodeError:
        raise StageFailed(f"{path} holds bytes that are no text", write) from None
    if not line:
        raise StageFailed(f"{path} is empty" if not data.strip() else f"the first line of {path} is empty", write)
    if TAG.fullmatch(line):
        return line
    if len(line) > MAX_TAG:
        reason = f"the first line of {path} has {len(line):,} characters, expected at most {MAX_TAG}"
        raise StageFailed(reason, write)
    reason = f"{path} says {line[:MAX_SHOWN]!r}, expected an image tag: letters, digits, _ . and -, not beginning with . or -"
    tag = _NOT_IN_TAG.sub("-", line).strip(".-")
    raise StageFailed(reason, f"write {tag} into {path}, commit and push" if TAG.fullmatch(tag) else write)
