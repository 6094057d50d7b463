"""Whether two commits differ in files that a pattern names. Directories that are the same in both are not looked into."""

from __future__ import annotations

from collections.abc import Sequence

from gitdeploy.errors import StageFailed
from gitdeploy.source.bounds import DIRECTORY
from gitdeploy.source.ignore import IgnoreFilter, Level
from gitdeploy.source.objects import Objects
from gitdeploy.source.tree import TreeEntry, read_tree

MAX_DIRECTORIES = 200_000
"""Pairs of directories that one question looks into: a few small trees can refer to one another until they hold billions."""

NO_ENTRY = TreeEntry(0, b"", b"")


def differ(objects: Objects, old: bytes, new: bytes, patterns: Sequence[str]) -> bool:
    """Return whether a file that the patterns name was added, removed or changed.

    Args:
        objects: of the repository.
        old: 20-byte id of the tree of one commit.
        new: of the other.
        patterns: as in .dockerignore, from the root of the tree; those with "!" take out again.

    Raises:
        StageFailed: a tree is missing or damaged, there are too many, or a pattern is wrong.
    """
    named = IgnoreFilter(patterns, "paths")
    todo: list[tuple[bytes, bytes, Level]] = [(old, new, named.root)]
    looked = 0
    while todo:
        before, after, level = todo.pop()
        looked += 1
        if looked > MAX_DIRECTORIES:
            raise StageFailed(f"more than {MAX_DIRECTORIES:,} directories differ", "leave `paths` out for this app")
        was, now = _entries(objects, before, level.path), _entries(objects, after, level.path)
        for name in sorted(was.keys() | now.keys()):
            one, other = was.get(name, NO_ENTRY), now.get(name, NO_ENTRY)
            if (one.mode, one.oid) == (other.mode, other.oid):
                continue
            is_named, matched = named.check(level, name)
            if is_named and {one.mode, other.mode} - {DIRECTORY, 0}:  # a file on one side at least
                return True
            if DIRECTORY in (one.mode, other.mode):
                trees = [entry.oid if entry.mode == DIRECTORY else b"" for entry in (one, other)]
                todo.append((trees[0], trees[1], named.enter(level, name, matched)))
    return False


def _entries(objects: Objects, tree: bytes, path: bytes) -> dict[bytes, TreeEntry]:
    """Return what is in a directory by name; nothing for b"", where there is none."""
    return {entry.name: entry for entry in read_tree(objects, tree, path)} if tree else {}
