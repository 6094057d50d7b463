"""As much of a build context as an engine asks for: its patterns, and where symlinks among the paths that it names lead to.

As BuildKit's client does it; github.com/tonistiigi/fsutil, followlinks.go and filter.go.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitdeploy.source.bounds import DIRECTORY, MAX_LINK, SUBMODULE, SYMLINK
from gitdeploy.source.ignore import IgnoreFilter, Level
from gitdeploy.source.listing import Patterns
from gitdeploy.source.objects import BLOB
from gitdeploy.source.tree import TreeEntry, read_tree
from gitdeploy.source.walk import Enter, Filter, Source

WHOSE = "the patterns of the engine"


class IncludeFilter(IgnoreFilter):
    """Leaves out what none of the patterns names."""

    def check(self, level: Level, name: bytes) -> tuple[bool, tuple[bool, ...]]:
        """See `IgnoreFilter`."""
        named, matched = super().check(level, name)
        return not named, matched

    def may_except_below(self, directory: bytes, matched: tuple[bool, ...] = ()) -> bool:
        """Return whether something in a directory that is left out may be named."""
        return self.may_match_below(directory)


class AllOf:
    """Leaves out what any of several filters does; a filter for `walk.TreeWalk`."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        self._filters = filters
        self.root: Any = tuple(one.root for one in filters)

    def check(self, level: Any, name: bytes) -> tuple[bool, tuple[Any, ...]]:
        """Return whether a name is left out, and what each filter says of it."""
        found = tuple(one.check(at, name) for one, at in zip(self._filters, level, strict=True))
        return any(ignored for ignored, _ in found), found

    def enter(self, level: Any, name: bytes, matched: tuple[Any, ...]) -> Any:
        """Return the level of a directory."""
        return tuple(one.enter(at, name, m) for one, at, (_, m) in zip(self._filters, level, matched, strict=True))

    def may_except_below(self, directory: bytes, matched: tuple[Any, ...]) -> bool:
        """Return whether all filters that leave a directory out may take something in it."""
        pairs = zip(self._filters, matched, strict=True)
        return all(one.may_except_below(directory, m) for one, (ignored, m) in pairs if ignored)


def narrowed(ignore: IgnoreFilter, patterns: Patterns, top: Source, directory: bytes, enter: Enter) -> Filter:
    """Return a filter for what is neither ignored nor left out by these patterns.

    Args:
        top: where the context's files are.
        directory: the tree that is the context's root.
        enter: gives the trees of submodules.

    Raises:
        StageFailed: a pattern is wrong, or a tree cannot be read.
    """
    filters: list[Filter] = [ignore]
    if patterns.exclude:
        filters.append(IgnoreFilter(patterns.exclude, WHOSE))
    include: list[str] | None = [*patterns.include] or None
    if patterns.follow:
        targets = Links(top, directory, enter).targets(patterns.follow)
        include = None if targets is None else without_doubles(sorted([*patterns.include, *targets]))
    if include:
        filters.append(IncludeFilter(include, WHOSE))
    return ignore if len(filters) == 1 else AllOf(filters)


def without_doubles(paths: Iterable[str]) -> list[str] | None:
    """Return sorted paths without those that lie in others; None if the root is among them."""
    kept: list[str] = []
    for path in paths:
        if path == ".":
            return None
        if not (kept and path.startswith(kept[-1] + "/")) and not path.startswith("/"):
            kept.append(path)
    return kept


class Links:
    """Follows the symlinks in a context."""

    def __init__(self, top: Source, directory: bytes, enter: Enter) -> None:
        """Take what `narrowed` does."""
        self._enter = enter
        self._known: dict[str, tuple[Source, Mapping[bytes, TreeEntry]] | None] = {".": _opened(top, directory, b"")}

    def targets(self, paths: Sequence[str]) -> list[str] | None:
        """Return the paths, with symlinks and all that they lead to; None if the root is among them."""
        found: set[str] = set()
        todo = [posixpath.normpath(f"./{path}") for path in reversed(paths)]
        while todo:
            rest = todo.pop()
            at = "."
            while rest:
                name, _, rest = rest.partition("/")
                at = posixpath.normpath(f"{at}/{name}")
                links = self._links(at)
                if (not rest or links) and at in found:
                    break
                if links or not rest:
                    found.add(at)
                    todo += [posixpath.normpath(f"./{link}/{rest}") for link in reversed(links)]
                    break
        return without_doubles(sorted(found))

    def _links(self, path: str) -> list[str]:
        """Return where the symlink at a path leads to, or all symlinks that a pattern as its last name means."""
        directory, name = posixpath.split(path)
        opened = self._directory(directory or ".")
        if opened is None:
            return []
        source, entries = opened
        names = [_encoded(name)]
        if _is_pattern(name):
            pattern = IgnoreFilter([name], WHOSE)
            names = [each for each in sorted(entries) if pattern.check(pattern.root, each)[0]]
        return [
            self._target(source, directory, entries[each])
            for each in names
            if each in entries and entries[each].mode == SYMLINK
        ]

    def _target(self, source: Source, directory: str, entry: TreeEntry) -> str:
        target = source.repository.objects.read(entry.oid, BLOB, MAX_LINK).decode("utf-8", "surrogateescape")
        return posixpath.normpath(target if target.startswith("/") else f"/{directory}/{target}").lstrip("/") or "."

    def _directory(self, path: str) -> tuple[Source, Mapping[bytes, TreeEntry]] | None:
        """Return what is in a directory, symlinks not followed; None if there is none."""
        if path not in self._known:
            above, name = posixpath.split(path)
            opened = self._directory(above or ".")
            entry = opened[1].get(_encoded(name)) if opened else None
            self._known[path] = self._inside(opened[0], path, entry) if opened and entry else None
        return self._known[path]

    def _inside(self, source: Source, path: str, entry: TreeEntry) -> tuple[Source, Mapping[bytes, TreeEntry]] | None:
        tree = entry.oid
        if entry.mode == SUBMODULE:
            entered = self._enter(source, _encoded(path), entry.oid)
            if entered is None:
                return None
            source, tree = entered, entered.tree
        elif entry.mode != DIRECTORY:
            return None
        return _opened(source, tree, _encoded(path))


def _opened(source: Source, tree: bytes, path: bytes) -> tuple[Source, Mapping[bytes, TreeEntry]]:
    return source, {entry.name: entry for entry in read_tree(source.repository.objects, tree, path)}


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _is_pattern(name: str) -> bool:
    """Return whether a name holds what means more than itself, and is not behind a backslash."""
    escaped = False
    for character in name:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character in "*?[":
            return True
    return False
