"""What is in the files of a build context: blobs, and what Git LFS pointers stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitdeploy.errors import StageFailed
from gitdeploy.source import tar
from gitdeploy.source.bounds import MAX_LINK
from gitdeploy.source.inflate import Content, Damaged, Large
from gitdeploy.source.lfs import MAX_POINTER, LfsObjects, Pointer, read_pointer
from gitdeploy.source.objects import BLOB
from gitdeploy.source.text import show
from gitdeploy.source.walk import Item

SHORTEST_POINTER = 100
"""Bytes; a shorter file is no pointer."""


class Contents:
    """Reads the files of one context, and holds the limit of what they may have together."""

    def __init__(self, lfs: LfsObjects, limit: int) -> None:
        """Take the LFS objects, and the bytes that the context may have."""
        self._lfs = lfs
        self._limit = limit
        self._total = 0
        self._largest = (0, b"")

    def begin(self) -> None:
        """Count anew."""
        self._total, self._largest = 0, (0, b"")

    def count(self, path: bytes, length: int) -> None:
        """Count an entry with so many bytes, before any of them is unpacked. Raises StageFailed at the limit."""
        self._total += length + tar.BLOCK
        self._largest = max(self._largest, (length, path))
        if self._total > self._limit:
            size, largest = self._largest
            reason = f"the build context has more than {self._limit:,} bytes (build.max_context) at {show(path)}"
            reason += f"; the largest file so far is {show(largest)} with {size:,} bytes"
            raise StageFailed(reason, "leave files out with .dockerignore, or have build.max_context raised in config.toml")

    def read(self, item: Item) -> Content:
        """Return what is in a file. Raises StageFailed; `pieces` reads what is large."""
        content = item.objects.get(item.oid, BLOB)
        if isinstance(content, Large) or len(content) > MAX_POINTER:
            return content
        pointer = read_pointer(content, item.path)
        return Large(pointer.size, self._lfs.read(pointer, item.path, item.objects.repository)) if pointer else content

    def size(self, item: Item) -> int:
        """Return the bytes of a file, reading as little as that takes. Raises StageFailed."""
        size = item.objects.size(item.oid)
        pointer = self._pointer(item) if SHORTEST_POINTER <= size <= MAX_POINTER else None
        return pointer.size if pointer else size

    def _pointer(self, item: Item) -> Pointer | None:
        return read_pointer(item.objects.read(item.oid, BLOB), item.path)


def pieces(item: Item, content: Content) -> Iterator[bytes]:
    """Yield a content in pieces. Raises StageFailed if it turns out to be damaged."""
    if not isinstance(content, Large):
        yield content
        return
    try:
        yield from content.pieces
    except Damaged as damage:
        raise item.objects.damaged(item.oid, damage) from None


def gathered(parts: Iterable[bytes], least: int) -> Iterator[bytes]:
    """Yield the same bytes in chunks of at least so many, the last one excepted."""
    chunk: list[bytes] = []
    size = 0
    for part in parts:
        chunk.append(part)
        size += len(part)
        if size >= least:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


def target_of(item: Item) -> bytes:
    """Return where a symlink points. Raises StageFailed."""
    target = item.objects.read(item.oid, BLOB, MAX_LINK, f"the target of the symlink {show(item.path)}")
    if not target or b"\0" in target:
        raise StageFailed(f"the symlink {show(item.path)} has no target that could be one", "remove it")
    return target
