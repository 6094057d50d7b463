"""A build context as a tar stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitdeploy.errors import StageFailed
from gitdeploy.source import tar
from gitdeploy.source.inflate import Content, Damaged, Large
from gitdeploy.source.lfs import MAX_POINTER, LfsObjects, read_pointer
from gitdeploy.source.objects import BLOB
from gitdeploy.source.text import show
from gitdeploy.source.tree import DIRECTORY, EXECUTABLE, MAX_LINK, SYMLINK
from gitdeploy.source.walk import Item

CHUNK = 128 << 10
"""Bytes that a chunk of the stream has at least, those around large files excepted."""


class ContextStream:
    """A build context; iterating makes its tar stream in chunks, from the beginning each time, and may raise StageFailed.

    Attributes:
        dockerfile: path of the Dockerfile in the stream.
        content: of the Dockerfile.
        key: digest of everything that decides what the stream holds, known before any of it is made.
        files: files and symlinks in the stream so far.
        bytes: bytes of the stream so far.
    """

    def __init__(
        self, dockerfile: Item, items: Callable[[], Iterator[Item]], lfs: LfsObjects, *, content: bytes, key: str, limit: int
    ) -> None:
        """Take the Dockerfile as it is sent, what starts a walk, the LFS objects, and the bytes it may have."""
        self.dockerfile = dockerfile.path.decode("utf-8", "surrogateescape")
        self.content = content
        self.key = key
        self.files = 0
        self.bytes = 0
        self._first = dockerfile
        self._items = items
        self._lfs = lfs
        self._limit = limit
        self._total = 0
        self._largest = (0, b"")

    def __iter__(self) -> Iterator[bytes]:
        self.files = self.bytes = self._total = 0
        self._largest = (0, b"")
        for chunk in self._chunks():
            self.bytes += len(chunk)
            yield chunk

    def _chunks(self) -> Iterator[bytes]:
        parts: list[bytes] = []
        size = 0
        for item in self._ordered():
            self._count(item.path, 0)
            if item.mode == DIRECTORY:
                parts.append(tar.directory(item.path))
                size += tar.BLOCK
                continue
            self.files += 1
            if item.mode == SYMLINK:
                parts.append(_symlink(item))
                size += tar.BLOCK
                continue
            content = self._content(item)
            length = content.size if isinstance(content, Large) else len(content)
            self._count(item.path, length)
            parts.append(tar.file(item.path, length, executable=item.mode == EXECUTABLE))
            if isinstance(content, Large):
                yield b"".join(parts)
                yield from _pieces(item, content)
                parts, size = [tar.padding(length)], 0
                continue
            parts += content, tar.padding(length)
            size += length + tar.BLOCK
            if size >= CHUNK:
                yield b"".join(parts)
                parts, size = [], 0
        yield b"".join([*parts, tar.END])

    def _count(self, path: bytes, length: int) -> None:
        """Count a header, or the content of a file before any of it is unpacked. Raises StageFailed at the limit."""
        self._total += length + tar.BLOCK
        self._largest = max(self._largest, (length, path))
        if self._total > self._limit:
            size, largest = self._largest
            reason = f"the build context has more than {self._limit:,} bytes (build.max_context) at {show(path)}"
            reason += f"; the largest file so far is {show(largest)} with {size:,} bytes"
            raise StageFailed(reason, "leave files out with .dockerignore, or have build.max_context raised in config.toml")

    def _ordered(self) -> Iterator[Item]:
        """Yield the Dockerfile, then the rest: BuildKit recognizes a tar stream by its first header, a plain one."""
        yield self._first
        for item in self._items():
            if item.path != self._first.path:
                yield item

    def _content(self, item: Item) -> Content:
        if item is self._first:
            return self.content  # what was checked is what is sent
        content = item.objects.get(item.oid, BLOB)
        if isinstance(content, Large) or len(content) > MAX_POINTER:
            return content
        pointer = read_pointer(content, item.path)
        return Large(pointer.size, self._lfs.read(pointer, item.path, item.objects.repository)) if pointer else content


def _symlink(item: Item) -> bytes:
    target = item.objects.read(item.oid, BLOB, MAX_LINK, f"the target of the symlink {show(item.path)}")
    if not target or b"\0" in target:
        raise StageFailed(f"the symlink {show(item.path)} has no target that could be one", "remove it")
    return tar.symlink(item.path, target)


def _pieces(item: Item, content: Large) -> Iterator[bytes]:
    try:
        yield from content.pieces
    except Damaged as damage:
        raise item.objects.damaged(item.oid, damage) from None
