"""A build context as a tar stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gitdeploy.source import tar
from gitdeploy.source.bounds import DIRECTORY, EXECUTABLE, FILE, SYMLINK
from gitdeploy.source.contents import Contents, gathered, pieces, target_of
from gitdeploy.source.inflate import Content, Large
from gitdeploy.source.listing import Listing, Patterns
from gitdeploy.source.walk import Item

IGNORE_FILE = b".dockerignore"

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
        ignored: bool = False,
    ) -> None:
        """Take the Dockerfile as it is sent, what starts a walk, what says when a path last changed, and what reads files.

        `ignored`: whether it is the context's own .dockerignore that leaves out the Dockerfile, if anything does.
        """
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
        self._ignored = ignored

    def listing(self, patterns: Patterns) -> Listing:
        """Return a list of what is in the context, or of as much of it as the patterns name."""
        return Listing(lambda: self._items(patterns), self._time_of, self._contents)

    def __iter__(self) -> Iterator[bytes]:
        return self.stream()

    def stream(self, *, hide: bool = False) -> Iterator[bytes]:
        """Yield the stream in chunks. Raises StageFailed.

        Args:
            hide: name the Dockerfile in the stream's .dockerignore if it is not in the context, as the docker command does:
                the classic builder then removes it, and COPY cannot take it.
        """
        self.files = self.bytes = 0
        self._contents.begin()
        for chunk in gathered(self._parts(hide), CHUNK):
            self.bytes += len(chunk)
            yield chunk

    def _parts(self, hide: bool) -> Iterator[bytes]:
        part_of_it, rules = False, None
        yield from self._entry(self._first)  # BuildKit recognizes a tar stream by its first header, a plain one
        for item in self._items(Patterns()):
            if item.path == self._first.path:
                part_of_it = True
            elif hide and item.path == IGNORE_FILE and item.mode in (FILE, EXECUTABLE):
                rules = item
            else:
                yield from self._entry(item)
        if hide and not part_of_it:
            yield from self._rules(rules)
        elif rules:
            yield from self._entry(rules)
        yield tar.END

    def _entry(self, item: Item) -> Iterator[bytes]:
        """Yield one entry."""
        self._contents.count(item.path, 0)
        time = self._time_of(item.path + b"/" if item.mode == DIRECTORY else item.path)
        if item.mode == DIRECTORY:
            yield tar.directory(item.path, time)
            return
        self.files += 1
        if item.mode == SYMLINK:
            yield tar.symlink(item.path, target_of(item), time)
            return
        content = self._content(item)
        length = content.size if isinstance(content, Large) else len(content)
        self._contents.count(item.path, length)
        yield tar.file(item.path, length, executable=item.mode == EXECUTABLE, time=time)
        yield from pieces(item, content)
        yield tar.padding(length)

    def _rules(self, item: Item | None) -> Iterator[bytes]:
        """Yield a .dockerignore that names the Dockerfile: the context's own, or one that names itself, too."""
        content: Content = b".dockerignore" if item is None else self._contents.read(item)
        if isinstance(content, Large) or (item and self._ignored):  # no .dockerignore, or the builder goes by it as it is
            yield from self._entry(item) if item else ()
            return
        content += b"\n/" + _pattern(self._first.path) + b"\n"
        self._contents.count(IGNORE_FILE, len(content))
        executable = item is not None and item.mode == EXECUTABLE
        yield tar.file(IGNORE_FILE, len(content), executable=executable, time=self._time_of(IGNORE_FILE))
        yield content
        yield tar.padding(len(content))

    def _content(self, item: Item) -> Content:
        return self.content if item is self._first else self._contents.read(item)  # what was checked is what is sent


def _pattern(path: bytes) -> bytes:
    """Return a pattern that matches the path: what patterns or their file may take in another way is any character. Pure."""
    return re.sub("[^A-Za-z0-9_./-]", "?", path.decode("utf-8", "surrogateescape")).encode()
