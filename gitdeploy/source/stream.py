"""A build context as a tar stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitdeploy.source import tar
from gitdeploy.source.contents import Contents, gathered, pieces, target_of
from gitdeploy.source.inflate import Content, Large
from gitdeploy.source.listing import Listing, Patterns
from gitdeploy.source.tree import DIRECTORY, EXECUTABLE, SYMLINK
from gitdeploy.source.walk import Item

CHUNK = 128 << 10
"""Bytes that a chunk of the stream has at least, the last one excepted."""


class ContextStream:
    """A build context; iterating makes its tar stream in chunks, from the beginning each time, and may raise StageFailed.

    Attributes:
        dockerfile: path of the Dockerfile in the stream.
        content: of the Dockerfile.
        place: where the directory is in the tree that it is made of.
        key: digest of everything that decides what the stream holds, its times excepted, known before any of it is made.
        files: files and symlinks in the stream so far.
        bytes: bytes of the stream so far.
    """

    def __init__(
        self,
        dockerfile: Item,
        items: Callable[[Patterns], Iterator[Item]],
        time_of: Callable[[bytes], int],
        contents: Contents,
        *,
        content: bytes,
        key: str,
        place: str,
    ) -> None:
        """Take the Dockerfile as it is sent, what starts a walk, what says when a path last changed, and what reads files."""
        self.dockerfile = dockerfile.path.decode("utf-8", "surrogateescape")
        self.content = content
        self.key = key
        self.place = place
        self.files = 0
        self.bytes = 0
        self._first = dockerfile
        self._items = items
        self._time_of = time_of
        self._contents = contents

    def listing(self, patterns: Patterns) -> Listing:
        """Return a list of what is in the context, or of as much of it as the patterns name."""
        return Listing(lambda: self._items(patterns), self._time_of, self._contents)

    def __iter__(self) -> Iterator[bytes]:
        self.files = self.bytes = 0
        self._contents.begin()
        for chunk in gathered(self._parts(), CHUNK):
            self.bytes += len(chunk)
            yield chunk

    def _parts(self) -> Iterator[bytes]:
        for item in self._ordered():
            self._contents.count(item.path, 0)
            time = self._time_of(item.path + b"/" if item.mode == DIRECTORY else item.path)
            if item.mode == DIRECTORY:
                yield tar.directory(item.path, time)
                continue
            self.files += 1
            if item.mode == SYMLINK:
                yield tar.symlink(item.path, target_of(item), time)
                continue
            content = self._content(item)
            length = content.size if isinstance(content, Large) else len(content)
            self._contents.count(item.path, length)
            yield tar.file(item.path, length, executable=item.mode == EXECUTABLE, time=time)
            yield from pieces(item, content)
            yield tar.padding(length)
        yield tar.END

    def _ordered(self) -> Iterator[Item]:
        """Yield the Dockerfile, then the rest: BuildKit recognizes a tar stream by its first header, a plain one."""
        yield self._first
        for item in self._items(Patterns()):
            if item.path != self._first.path:
                yield item

    def _content(self, item: Item) -> Content:
        return self.content if item is self._first else self._contents.read(item)  # what was checked is what is sent
