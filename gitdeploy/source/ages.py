"""When each file of an app's tree was last changed, found by comparing it with the tree that was built before it.

Web servers and BuildKit take a file of equal path, size and time for unchanged, and some servers a file that is not newer. Git
keeps no times; so this makes them. What holds:

- A file or symlink keeps its time while its content (its blob's id) and its mode stay. When they change it gets the time of the
  commit, or one second more than it had if that is not later: clocks and rebases run backwards.
- So whatever trees follow one another, a path never has an earlier time than other content had there before; that includes
  reverts, forced pushes, branches that are built in turn, and a path that was gone for a while. A renamed file is a new one.
- A new directory has one time for all that is in it, and so has a submodule, whenever its commit changes. A Git LFS file
  changes when its pointer does.
- Directories that are the same in both trees are not opened. A tree that cannot be read any more (`git gc` took it after a
  forced push) counts as changed in every file.
- Each app has ages of its own, whatever repository or branch it is built from. If they are lost, everything gets the commit's
  time; whoever recognizes files by their times must then begin anew, too (see `pipeline.contextages`).

Pure: the trees come in by a function.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from gitdeploy.source.bounds import DIRECTORY, LATEST, SUBMODULE
from gitdeploy.source.tree import TreeEntry

MOST_BYTES = 8 << 20
"""Of the paths that have a time of their own; with more, every file counts as changed and the list begins anew."""

MOST_DIRECTORIES = 200_000
"""Pairs of directories that are compared: a few small trees can refer to one another until they hold billions."""

Read = Callable[[bytes, bytes], Mapping[bytes, TreeEntry] | None]
"""Takes a tree's id and its path (for messages); returns its entries by name, None if it cannot be read."""

NONE = TreeEntry(0, b"", b"")


class BadAges(Exception):
    """These bytes are no ages."""


@dataclass(frozen=True)
class Ages:
    """The times of all files of one tree, in seconds since the epoch.

    Attributes:
        tree: its 20-byte id.
        base: the time of every file that has none of its own.
        gone: the latest that a file had which is there no more.
        marks: path → time of a file; path with a slash at its end → time of what is in that directory and has none of its own.
    """

    tree: bytes
    base: int
    gone: int = 0
    marks: Mapping[bytes, int] = field(default_factory=dict)

    def within(self, directory: bytes) -> int:
        """Return the time of files in a directory that have none of their own; its path ends in a slash, b"" for the root."""
        while directory:
            if (found := self.marks.get(directory)) is not None:
                return found
            directory = directory[: directory.rfind(b"/", 0, -1) + 1]
        return self.base

    def of(self, path: bytes) -> int:
        """Return the time of a file or symlink."""
        found = self.marks.get(path)
        return self.within(path[: path.rfind(b"/") + 1]) if found is None else found

    def dump(self) -> bytes:
        """Return what `load` makes it of again."""
        marks = b"".join(b"%d %b\0" % (time, path) for path, time in sorted(self.marks.items()))
        return zlib.compress(b"%b %d %d\0%b" % (self.tree.hex().encode(), self.base, self.gone, marks), 1)


def load(data: bytes) -> Ages:
    """Return the ages that were dumped. Raises BadAges."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, 4 * MOST_BYTES)
        if not stream.eof:
            raise BadAges("they are cut off, or too large")
        head, *lines = text.removesuffix(b"\0").split(b"\0")
        tree, base, gone = head.split(b" ")
        pairs = (line.partition(b" ")[::2] for line in lines)
        ages = Ages(bytes.fromhex(tree.decode()), _time(base), _time(gone), {path: _time(time) for time, path in pairs})
    except (zlib.error, ValueError):
        raise BadAges("they are no such data") from None
    if len(ages.tree) != 20:
        raise BadAges("their tree is no id")
    return ages


def _time(text: bytes) -> int:
    value = int(text)
    if not 0 <= value <= LATEST:
        raise ValueError
    return value


def advance(last: Ages | None, tree: bytes, now: int, read: Read) -> Ages:
    """Return the ages of a tree that is built after another one.

    Args:
        last: the ages of the tree that was built before, None if nothing is known of it.
        tree: 20-byte id of the root.
        now: the time of the commit.
        read: reads directories of both.
    """
    if last is None:
        return Ages(tree, now)
    if last.tree == tree:
        return last
    step = _AgeStep(last, now)
    if step.compare(tree, read) and sum(map(len, step.marks)) + 16 * len(step.marks) <= MOST_BYTES:
        return Ages(tree, last.base, step.gone, step.marks)
    newest = max(last.base, last.gone, *last.marks.values(), now - 1)
    return Ages(tree, newest + 1, newest)


class _AgeStep:
    """From one tree to the next: collects new marks."""

    def __init__(self, last: Ages, now: int) -> None:
        self.marks = dict(last.marks)
        self.gone = last.gone
        self._last = last
        self._now = now
        self._fresh = max(now, last.gone + 1)  # of what was not there; it may have been, before
        self._paths = sorted(last.marks)

    def compare(self, tree: bytes, read: Read) -> bool:
        """Look at every directory that differs; return False if there are too many, or the roots cannot be read."""
        todo = [(b"", self._last.tree, tree)]
        for looked, (path, before, after) in enumerate(_drained(todo)):
            was, now = read(before, path), read(after, path)
            if was is None or now is None:
                if not path:
                    return False
                self._all_changed(path)
                continue
            if looked >= MOST_DIRECTORIES:
                return False
            for name in was.keys() | now.keys():
                one, other = was.get(name, NONE), now.get(name, NONE)
                if (one.mode, one.oid) == (other.mode, other.oid):
                    continue
                if one.mode == other.mode == DIRECTORY:
                    todo.append((path + name + b"/", one.oid, other.oid))
                else:
                    self._differs(path + name, one.mode, other.mode)
        return True

    def _differs(self, path: bytes, before: int, after: int) -> None:
        """Take a change of something that is no directory in both trees; their modes, 0 for nothing."""
        inside = path + b"/"
        if _is_directory(before) and _is_directory(after):
            self._all_changed(inside)
        elif before and after and not _is_directory(before) and not _is_directory(after):
            self._mark(path, max(self._now, self._last.of(path) + 1))
        else:
            if _is_directory(before):
                self.gone = max(self.gone, self._forget(inside))
            elif before:
                self.gone = max(self.gone, self._last.of(path))
                self.marks.pop(path, None)
            if after:
                self._mark(inside if _is_directory(after) else path, self._fresh)

    def _all_changed(self, directory: bytes) -> None:
        latest = self._forget(directory)
        self.gone = max(self.gone, latest)
        self._mark(directory, max(self._fresh, latest + 1))

    def _forget(self, directory: bytes) -> int:
        """Drop the marks of all that was in a directory; return the latest time in it."""
        latest = self._last.within(directory)
        for at in range(bisect_left(self._paths, directory), len(self._paths)):
            path = self._paths[at]
            if not path.startswith(directory):
                break
            latest = max(latest, self._last.marks[path])
            self.marks.pop(path, None)
        return latest

    def _mark(self, path: bytes, time: int) -> None:
        """Set a time, at the least cost: none where it is that of everything around."""
        around = path[: path.rfind(b"/", 0, -1) + 1]
        if self._last.within(around) == time:
            self.marks.pop(path, None)
        else:
            self.marks[path] = time


def _is_directory(mode: int) -> bool:
    return mode in (DIRECTORY, SUBMODULE)


def _drained(todo: list[tuple[bytes, bytes, bytes]]) -> Iterator[tuple[bytes, bytes, bytes]]:
    while todo:
        yield todo.pop()
