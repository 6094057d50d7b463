"""Commits and tags: what their headers say. Whoever pushes writes them, with or without git. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitdeploy.source.text import printable

MAX_SUBJECT = 500
MAX_AUTHOR = 300
"""Characters; the rest is cut off."""

MAX_TIME = 10**11
"""Seconds since the epoch, the year 5138; a later time is none."""

ID = re.compile(r"[0-9a-fA-F]{40}")

_ZONE = re.compile(rb"[+-][0-9]{4}")
_SECONDS = re.compile(rb"[0-9]{1,12}")
_LONG_TIME = re.compile(rb"[0-9]+")

_CODECS = (
    *("utf-8", "ascii", "latin-1", "gbk", "gb2312", "gb18030", "big5", "euc-kr", "euc-jp", "shift_jis", "iso-2022-jp"),
    *("koi8-r", "koi8-u", "tis-620", "mac-roman", "cp437", "cp850", "cp852", "cp866", "cp874", "cp932", "cp949", "cp950"),
    *(f"cp125{n}" for n in range(9)),
    *(f"iso-8859-{n}" for n in range(1, 17) if n != 12),
)
_SPELLINGS = {"latin1": "latin-1", "sjis": "shift_jis", "uhc": "cp949", "ksc56011987": "cp949", "usascii": "ascii"}
_SPELLINGS |= {f"windows125{n}": f"cp125{n}" for n in range(9)}


def _spelled(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


_ALLOWED = {_spelled(name): name for name in _CODECS} | _SPELLINGS
"""Encodings that turn bytes into text. Python has others, which do not (hex, rot13, zlib), or which run code on their input."""


@dataclass(frozen=True)
class Commit:
    """A commit.

    Attributes:
        id: 40 hexadecimal digits.
        tree: id of its tree, likewise.
        subject: first line of its message, printable, MAX_SUBJECT characters at most.
        author: "Name <address>", printable, MAX_AUTHOR characters at most.
        time: of the commit, seconds since the epoch; 0 if it says none.
    """

    id: str
    tree: str
    subject: str
    author: str
    time: int


def headers(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Return the headers and the message of a commit or tag; of a header that comes twice, the first."""
    head, _, message = data.partition(b"\n\n")
    found: dict[bytes, bytes] = {}
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        found.setdefault(key, value)
    return found, message


def id_in(found: dict[bytes, bytes], key: bytes) -> str | None:
    """Return the id that a header holds; None if it holds none."""
    value = found.get(key, b"")
    return value.decode().lower() if len(value) == 40 and re.fullmatch(rb"[0-9a-fA-F]{40}", value) else None


def read_commit(oid: str, data: bytes) -> Commit | None:
    """Return a commit from its bytes, however odd its headers are; None if it names no tree."""
    found, message = headers(data)
    tree = id_in(found, b"tree")
    if tree is None:
        return None
    codec = _ALLOWED.get(_spelled(found.get(b"encoding", b"utf-8")[:40].decode("ascii", "replace")), "")
    author, _ = person(found.get(b"author", b""))
    _, when = person(found.get(b"committer", b""))
    subject = message.lstrip(b"\n")[: 8 * MAX_SUBJECT].split(b"\n", 1)[0]
    return Commit(oid, tree, _text(subject, codec, MAX_SUBJECT), _text(author[: 8 * MAX_AUTHOR], codec, MAX_AUTHOR), when)


def person(value: bytes) -> tuple[bytes, int]:
    """Name and time of "Name <address> SECONDS ZONE"; the whole text and 0 for what does not look so."""
    head, _, zone = value.rpartition(b" ")
    name, _, seconds = head.rpartition(b" ")
    if not _ZONE.fullmatch(zone) or not _LONG_TIME.fullmatch(seconds):
        return value, 0
    when = int(seconds) if _SECONDS.fullmatch(seconds) else 0
    return name, when if when <= MAX_TIME else 0


def _text(value: bytes, codec: str, limit: int) -> str:
    """Return the text, decoded as far as that is possible; what is no UTF-8 is escaped where no known encoding is named."""
    try:
        text = value.decode(codec, "replace") if codec not in ("", "utf-8") else value.decode("utf-8", "backslashreplace")
    except (LookupError, ValueError):
        text = value.decode("utf-8", "backslashreplace")
    shown = printable(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
