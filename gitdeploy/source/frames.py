"""What the reader of repositories and its parent say to each other: frames on a socket.

A frame is a kind (one byte), a length (4 bytes, big-endian) and so many bytes: MESSAGE, a JSON object, or DATA, bytes of a file
or stream. A request is one message; an answer is any number of data frames and one message. Neither side takes a longer frame
than it asked for, and nothing is ever unpickled: the parent takes the reader for one that a repository has taken over.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from gitdeploy.errors import StageFailed

MESSAGE, DATA = b"M", b"D"
HEAD = struct.Struct(">cI")

MAX_MESSAGE = 64 << 10
"""Bytes of an answer's message."""

MAX_REQUEST = 32 << 20
"""Bytes of a request: names of refs, at most."""

MAX_DATA = 1 << 20
"""Bytes of a data frame."""


HINT = "see what `git fsck` says in the repository; a tree or history made to be large is refused like this"


class BadFrame(Exception):
    """The other side said what is no frame, or more than it may."""


def message(content: Mapping[str, object]) -> bytes:
    """Return a message's frame."""
    data = json.dumps(content, separators=(",", ":")).encode()
    return HEAD.pack(MESSAGE, len(data)) + data


def head(data: bytes, most: int) -> tuple[bytes, int]:
    """Return the kind and length of a frame from its HEAD.size bytes; a message has at most `most` bytes. Raises BadFrame."""
    kind, length = HEAD.unpack(data)
    if kind not in (MESSAGE, DATA) or length > (most if kind == MESSAGE else MAX_DATA):
        raise BadFrame("a frame of an unknown kind, or too long")
    return kind, length


def read_message(data: bytes) -> dict[str, Any]:
    """Return the JSON object of a message. Raises BadFrame."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise BadFrame("a message that is no JSON") from None
    if not isinstance(content, dict):
        raise BadFrame("a message that is no object")
    return content


def text(content: Mapping[str, object], key: str, most: int) -> str:
    """Return a text of a message. Raises BadFrame if it is none, or longer than `most` characters."""
    value = content.get(key)
    if not isinstance(value, str) or len(value) > most:
        raise BadFrame(f"{key} is no text, or too long")
    return value


def number(content: Mapping[str, object], key: str, most: int) -> int:
    """Return a number of a message from 0 to `most`. Raises BadFrame for anything else."""
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise BadFrame(f"{key} is no number, or too large")
    return value


def nonsense(bad: BadFrame) -> StageFailed:
    """Return the failure to raise for an answer that is none."""
    return StageFailed(f"reading the repository failed: the reader's answer is none ({bad})", HINT)
