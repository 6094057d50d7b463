"""Tar headers: deterministic, the same for everyone, and plain wherever a name is not too long for it.

GNU's format (https://www.gnu.org/software/tar/manual/html_node/Standard.html) and not PAX, because its long names are bytes of
any kind, while PAX wants UTF-8. The owner is always zero, and a time is that of the file's last change (see `ages`), so that a
file that stays looks the same in every stream.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_PLAIN = 100
"""Bytes of a name or link target that fit into a header; longer ones come in an entry before it."""

_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s8s247x")
LONG_NAME = b"././@LongLink"
"""The name of an entry that holds the next one's."""

LATEST = 8**11 - 1
"""Seconds since the epoch that fit into a header, in the year 2242."""

_NOBODY, _MAGIC = b"0000000\0", b"ustar  \0"


def file(name: bytes, size: int, *, executable: bool = False, time: int = 0) -> bytes:
    """Return the header of a regular file; `size` bytes of content and `padding(size)` follow it. `time` is since the epoch."""
    return _entry(name, b"0", 0o755 if executable else 0o644, time=time, size=size)


def directory(name: bytes, time: int = 0) -> bytes:
    """Return the header of a directory; `name` has no slash at its end."""
    return _entry(name + b"/", b"5", 0o755, time=time)


def symlink(name: bytes, target: bytes, time: int = 0) -> bytes:
    """Return the header of a symlink."""
    return _entry(name, b"2", 0o777, time=time, link=target)


def padding(size: int) -> bytes:
    """Return what fills the last block of `size` bytes of content."""
    return bytes(-size % BLOCK)


def _entry(name: bytes, kind: bytes, mode: int, *, time: int, size: int = 0, link: bytes = b"") -> bytes:
    if len(name) <= MAX_PLAIN and len(link) <= MAX_PLAIN:
        return header(name, kind, mode, size, link, time=time)
    long = _long(b"L", name) if len(name) > MAX_PLAIN else b""
    if len(link) > MAX_PLAIN:
        long += _long(b"K", link)
    return long + header(name[:MAX_PLAIN], kind, mode, size, link[:MAX_PLAIN], time=time)


def _long(kind: bytes, value: bytes) -> bytes:
    size = len(value) + 1
    return header(LONG_NAME, kind, 0o644, size, b"") + value + b"\0" + padding(size)


def header(name: bytes, kind: bytes, mode: int, size: int, link: bytes, *, time: int = 0) -> bytes:
    """Return one block, the header of an entry of that kind (one byte); name and link have at most MAX_PLAIN bytes."""
    digits = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    stamp, sum_of_stamp = _stamp(time)
    checksum = _fixed_sum(kind, mode) + sum(name) + sum(digits) + sum(link) + sum_of_stamp
    return _HEADER.pack(name, b"%07o\0" % mode, _NOBODY, _NOBODY, digits, stamp, b"%06o\0 " % checksum, kind, link, _MAGIC)


@lru_cache(1000)
def _stamp(time: int) -> tuple[bytes, int]:
    """Return the field of a time, and what it adds to the checksum; an archive has few different ones."""
    stamp = b"%011o\0" % min(time, LATEST)
    return stamp, sum(stamp)


@cache
def _fixed_sum(kind: bytes, mode: int) -> int:
    """Return what the fields that all entries of a kind share add to the checksum, whose own field counts as spaces."""
    return sum(_HEADER.pack(b"", b"%07o\0" % mode, _NOBODY, _NOBODY, b"", b"", b" " * 8, kind, b"", _MAGIC))
