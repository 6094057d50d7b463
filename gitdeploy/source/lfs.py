"""Git LFS: pointer files, and the objects they stand for in the Git server's own store.

The pointer format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md. Gogs keeps the objects of all repositories in
`[lfs] OBJECTS_PATH`, the object with id abc… as a/b/abc… (internal/lfsutil/storage.go).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gitdeploy.errors import StageFailed
from gitdeploy.source.inflate import PIECE
from gitdeploy.source.text import show

MAX_POINTER = 1023
"""Bytes; a larger file is no pointer."""

_VERSIONS = (b"version https://git-lfs.github.com/spec/v1\n", b"version https://hawser.github.com/spec/v1\n")
_OID = re.compile(rb"sha256:([0-9a-f]{64})")
_SIZE = re.compile(rb"[0-9]{1,18}")


class Pointer(NamedTuple):
    """What a pointer file says.

    Attributes:
        oid: SHA-256 of the content, 64 hexadecimal digits.
        size: bytes.
    """

    oid: str
    size: int


def read_pointer(data: bytes, path: bytes) -> Pointer | None:
    """Take the content of a file; return None if it is no pointer. Raises StageFailed if it is a wrong one."""
    if not data.startswith(_VERSIONS) or len(data) > MAX_POINTER:
        return None
    values = dict(line.partition(b" ")[::2] for line in data.splitlines())
    oid = _OID.fullmatch(values.get(b"oid", b""))
    size = _SIZE.fullmatch(values.get(b"size", b""))
    if not oid or not size:
        found = show(values.get(b"oid", b"none") if size else values.get(b"size", b"none"))
        reason = f"the Git LFS pointer {show(path)} has a wrong {'id' if size else 'size'}: {found}"
        raise StageFailed(reason, 'expected "oid sha256:" with 64 digits and "size"; let `git lfs` write it again')
    if any(key.startswith(b"ext-") for key in values):
        raise StageFailed(f"the Git LFS pointer {show(path)} needs an LFS extension, which gitdeploy does not have", _HINT)
    return Pointer(oid[1].decode(), int(size[0]))


def read_object(store: Path | None, pointer: Pointer, path: bytes) -> Iterator[bytes]:
    """Return the content that a pointer stands for, in pieces.

    Args:
        store: the Git server's directory of LFS objects, None if it has none.
        path: of the pointer file, for messages.

    Raises:
        StageFailed: at once if the object is not there or has another size, at the end if its content has another hash.
    """
    if store is None:
        raise StageFailed(f"{show(path)} is a Git LFS pointer, and the Git server has no LFS store", _HINT)
    place = store / pointer.oid[0] / pointer.oid[1] / pointer.oid
    what = f"the Git LFS object of {show(path)} ({pointer.oid[:12]}…, {pointer.size:,} bytes)"
    try:
        file = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StageFailed(f"{what} is not at {place}: {error.strerror}", "push it: `git lfs push --all origin`") from None
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_size != pointer.size:
        os.close(file)
        raise StageFailed(f"{what} has {status.st_size:,} bytes at {place}", "push it again: `git lfs push --all origin`")
    return _checked(file, pointer, what)


def _checked(file: int, pointer: Pointer, what: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as content:
        while piece := content.read(PIECE):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != pointer.oid:
        raise StageFailed(f"{what} is damaged: its SHA-256 is {digest.hexdigest()[:12]}…", "restore it from a backup")


_HINT = "push real files, or list them in .dockerignore"
