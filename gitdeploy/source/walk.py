"""The walk over a tree: what belongs into a build context, directories first, submodules entered.

The names of a directory come in the order of their bytes, and what is in a subdirectory right behind its name: BuildKit
compares what it gets with what it has in that order (Git has another, in which "a.b" comes before "a/x").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from gitdeploy.errors import StageFailed
from gitdeploy.source.bounds import DIRECTORY, MAX_ENTRIES, MAX_NAME, MAX_PATH, SUBMODULE
from gitdeploy.source.objects import Objects
from gitdeploy.source.repository import Repository
from gitdeploy.source.text import show
from gitdeploy.source.tree import TreeEntry, read_tree


@dataclass(frozen=True)
class Source:
    """A tree that files are taken from: that of the app's commit, or of a submodule's.

    Attributes:
        tree: 20-byte id of the root of the commit.
        mount: where it is in the context: b"" or a path with a slash at its end.
        inside: what of it is there: b"" for its root, or a path with a slash at its end.
    """

    repository: Repository
    tree: bytes
    mount: bytes = b""
    inside: bytes = b""

    def path(self, path: bytes) -> bytes:
        """Return the path in this tree of a path in the context."""
        return self.inside + path[len(self.mount) :]


class Item(NamedTuple):
    """A file, symlink or directory of the context.

    Attributes:
        mode: DIRECTORY, FILE, EXECUTABLE or SYMLINK.
        path: in the context, without a slash at its end.
        oid: of the blob; of the tree of a directory.
        objects: where the blob is.
    """

    mode: int
    path: bytes
    oid: bytes
    objects: Objects


_NAME = attrgetter("name")

Enter = Callable[[Source, bytes, bytes], Source | None]
"""Takes the tree that a submodule is in, its path in the context and its commit's id; returns its tree, None to skip it."""


class Filter(Protocol):
    """What says what is left out; it keeps a level for each directory. `ignore.IgnoreFilter` is one."""

    root: Any

    def check(self, level: Any, name: bytes) -> tuple[bool, tuple[Any, ...]]: ...

    def enter(self, level: Any, name: bytes, matched: tuple[Any, ...]) -> Any: ...

    def may_except_below(self, directory: bytes, matched: tuple[Any, ...]) -> bool: ...


class _Directory(NamedTuple):
    """A directory that the walk is in.

    Attributes:
        path: in the context, with a slash at its end; b"" for the root.
        todo: its entries that are still to come.
        item: what announces it: at once, or of an ignored one only when something in it is not ignored.
        level: for the filter.
    """

    source: Source
    path: bytes
    todo: Iterator[TreeEntry]
    item: Item | None
    level: Any


class TreeWalk:
    """A walk over a context, from its root downwards, a directory before what is in it."""

    def __init__(self, ignore: Filter, enter: Enter) -> None:
        """Take the filter, and what is asked for every submodule that passes it."""
        self._ignore = ignore
        self._enter = enter
        self._stack: list[_Directory] = []
        self._unannounced: list[Item] = []
        self._count = 0

    def run(self, source: Source, directory: bytes) -> Iterator[Item]:
        """Yield everything that is not ignored in a directory of `source`, given as the id of its tree.

        Raises:
            StageFailed: a tree is missing, or holds what is refused.
        """
        self._push(source, directory, None, b"", self._ignore.root)
        while self._stack:
            here = self._stack[-1]
            entry = next(here.todo, None)
            if entry is None:
                self._pop()
                continue
            path = here.path + entry.name
            self._count += 1
            if self._count > MAX_ENTRIES or len(path) > MAX_PATH:
                raise self._too_much(path)
            ignored, matched = self._ignore.check(here.level, entry.name)
            if len(entry.name) > MAX_NAME and not ignored:
                raise StageFailed(f"the name {show(entry.name[:80])}… has more than {MAX_NAME} bytes", "shorten it")
            if entry.mode in (DIRECTORY, SUBMODULE):
                yield from self._directory(here, entry, path, ignored, matched)
            elif not ignored:
                if self._unannounced:
                    yield from self._announce()
                yield Item(entry.mode, path, entry.oid, here.source.repository.objects)

    def _directory(
        self, here: _Directory, entry: TreeEntry, path: bytes, ignored: bool, matched: tuple[Any, ...]
    ) -> Iterable[Item]:
        """Go into a directory or submodule, if need be; return what is to be announced now."""
        if ignored and not self._ignore.may_except_below(path, matched):
            return ()
        below, tree = here.source, entry.oid
        if entry.mode == SUBMODULE:
            entered = self._enter(here.source, path, entry.oid)
            if entered is None:
                return ()
            below, tree = entered, entered.tree
        item = Item(DIRECTORY, path, tree, below.repository.objects)
        self._unannounced.append(item)
        self._push(below, tree, item, path + b"/", self._ignore.enter(here.level, entry.name, matched))
        return () if ignored else self._announce()

    def _push(self, source: Source, tree: bytes, item: Item | None, path: bytes, level: Any) -> None:
        entries = sorted(read_tree(source.repository.objects, tree, path), key=_NAME)
        self._stack.append(_Directory(source, path, iter(entries), item, level))

    def _pop(self) -> None:
        done = self._stack.pop()
        if self._unannounced and self._unannounced[-1] is done.item:
            self._unannounced.pop()

    def _announce(self) -> list[Item]:
        items, self._unannounced = self._unannounced, []
        return items

    def _too_much(self, path: bytes) -> StageFailed:
        if len(path) > MAX_PATH:
            return StageFailed(f"the path {show(path[:80])}… has more than {MAX_PATH:,} bytes", "shorten it")
        return StageFailed(f"the build context has more than {MAX_ENTRIES:,} files and directories", "see .dockerignore")
