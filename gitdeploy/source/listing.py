"""A build context as a list of what is in it, with sizes and times, from which files are taken by their number.

The list is a stream of records, the directories before what is in them, names in the order of their bytes. A record is RECORD,
a name and a symlink's target: it says how many directories it is in, so that its path needs not be told, and cannot be a wrong
one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from gitdeploy.errors import StageFailed
from gitdeploy.source.bounds import DIRECTORY, FILE, MODES, RECORD, SYMLINK
from gitdeploy.source.contents import Contents, gathered, pieces, target_of
from gitdeploy.source.objects import Objects
from gitdeploy.source.walk import Item

CHUNK = 64 << 10
"""Bytes that are sent at once, at least."""


@dataclass(frozen=True)
class Patterns:
    """What an engine wants of a context; nothing here is everything.

    Attributes:
        follow: paths and patterns; what symlinks among them lead to is wanted, too.
        include: patterns.
        exclude: patterns as in .dockerignore.
    """

    follow: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Listing:
    """One list."""

    def __init__(self, items: Callable[[], Iterator[Item]], time_of: Callable[[bytes], int], contents: Contents) -> None:
        """Take what starts a walk, what says when a path last changed, and what reads files."""
        self._items = items
        self._time_of = time_of
        self._contents = contents
        self._ids = bytearray()  # 20 bytes for each record: memory is all that grows with the number of files
        self._from = array("I")
        self._objects: list[Objects] = []

    def records(self) -> Iterator[bytes]:
        """Yield the records, some at a time, each whole. Raises StageFailed."""
        self._contents.begin()
        self._ids.clear()
        del self._from[:], self._objects[:]
        yield from gathered(map(self._record, self._items()), CHUNK)

    def _record(self, item: Item) -> bytes:
        mode, path, oid, objects = item
        if objects not in self._objects:  # submodules have their own
            self._objects.append(objects)
        self._from.append(self._objects.index(objects))
        self._ids += oid
        size, target = 0, b""
        if mode == SYMLINK:
            target = target_of(item)
            size = len(target)
        elif mode != DIRECTORY:
            size = self._contents.size(item)
        self._contents.count(path, size)
        name = path[path.rfind(b"/") + 1 :]
        time = self._time_of(path + b"/" if mode == DIRECTORY else path)
        return RECORD.pack(MODES[mode], path.count(b"/"), len(name), len(target), size, time) + name + target

    def contents(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield what is in the files of these numbers, one behind the other. Raises StageFailed."""
        yield from gathered((piece for number in numbers for piece in self._file(number)), CHUNK)

    def _file(self, number: int) -> Iterator[bytes]:
        if not 0 <= number < len(self._from):
            raise StageFailed(f"file {number} is not on the list")
        item = self._item(number, b"")
        try:
            content = self._contents.read(item)
        except StageFailed:
            item = self._item(number, next(islice(self._items(), number, None)).path)
            content = self._contents.read(item)  # fails again, and says where
        return pieces(item, content)

    def _item(self, number: int, path: bytes) -> Item:
        oid = bytes(self._ids[20 * number : 20 * number + 20])
        return Item(FILE, path, oid, self._objects[self._from[number]])
