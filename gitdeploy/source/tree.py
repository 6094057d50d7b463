"""Trees: their entries, checked against what a hostile pusher may have put there, and look-up of a path."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

from gitdeploy.errors import StageFailed
from gitdeploy.source.bounds import DIRECTORY, EXECUTABLE, FILE, MAX_LINK, SUBMODULE, SYMLINK
from gitdeploy.source.objects import BLOB, TREE, Objects
from gitdeploy.source.text import show

MAX_TREE = 16 << 20
"""Bytes of one directory's tree object: some 400,000 names."""

MAX_LINKS = 40
"""Symlinks followed on the way to one path, as the kernel does."""

_ENTRY = re.compile(rb"([0-7]{5,6}) ([^/\0]+)\0(.{20})|(.+)", re.DOTALL)
"""An entry, or at once all the rest, where there is none: to look on behind it would take the square of the time."""

_FORBIDDEN = {b".", b"..", b".git"}


class TreeEntry(NamedTuple):
    """One name in a directory.

    Attributes:
        mode: DIRECTORY, FILE, EXECUTABLE, SYMLINK or SUBMODULE.
        oid: 20-byte id of the tree or blob; of the commit of a submodule.
    """

    mode: int
    name: bytes
    oid: bytes


def read_tree(objects: Objects, oid: bytes, path: bytes) -> list[TreeEntry]:
    """Return the entries of the directory at `path` (for messages), in Git's order.

    Raises:
        StageFailed: the tree is missing or damaged, or holds what Git would not check out: the names ".", ".." and ".git",
            a slash in a name, one name twice, an unknown type.
    """
    data = objects.read(oid, TREE, MAX_TREE)
    found: list[tuple[bytes, bytes, bytes, bytes]] = _ENTRY.findall(data)
    if found and found[-1][3]:
        raise _refused(path, "an entry that is not one (a slash in a name, or bytes that do not belong there)")
    names = set()
    entries = []
    for mode, name, target, _ in found:
        names.add(name)
        if name in _FORBIDDEN or name.lower() == b".git":
            raise _refused(path, f"the name {show(name)}")
        entries.append(TreeEntry(_MODES.get(mode) or _mode(mode, path + name), name, target))
    if len(names) != len(entries):
        raise _refused(path, "one name twice")
    return entries


def _mode(mode: bytes, path: bytes) -> int:
    """Return the canonical mode of one that is not: old versions of Git wrote 100664, some tools write 040000."""
    kind = int(mode, 8) & 0o170000
    if kind == 0o100000:
        return EXECUTABLE if int(mode, 8) & 0o100 else FILE
    if kind in (DIRECTORY, SYMLINK, SUBMODULE):
        return kind
    raise StageFailed(f"{show(path)} has the type {mode.decode()}, which is no file, directory, symlink or submodule", _HINT)


_MODES = {b"40000": DIRECTORY, b"100644": FILE, b"100755": EXECUTABLE, b"120000": SYMLINK, b"160000": SUBMODULE}
_HINT = "this tree was not made by Git; commit these files again with Git itself"


def _refused(path: bytes, what: str) -> StageFailed:
    return StageFailed(f"the directory {show(path) or '/'} of the pushed tree holds {what}: refused, as Git would", _HINT)


def split(path: str, what: str) -> list[bytes]:
    """Take a path in the tree as a config file has it ("./docker/Dockerfile"); return its names, [] for the root.

    Raises:
        StageFailed: it leaves the tree; `what` it is comes first in the message.
    """
    clean = posixpath.normpath(path) if path else "."
    if clean.startswith("/") or clean.split("/")[0] == ".." or "\0" in clean:
        raise StageFailed(f"{what} {path!r} leaves the tree", "give a path inside of the repository, from its root")
    return [] if clean == "." else clean.encode("utf-8", "surrogateescape").split(b"/")


def find(objects: Objects, root: bytes, names: list[bytes]) -> TreeEntry | None:
    """Return the entry at a path below the tree `root`, symlinks not followed; None if there is none."""
    entry = TreeEntry(DIRECTORY, b"", root)
    for i, name in enumerate(names):
        if entry.mode != DIRECTORY:
            return None
        entries = read_tree(objects, entry.oid, b"".join(n + b"/" for n in names[:i]))
        match = [e for e in entries if e.name == name]
        if not match:
            return None
        entry = match[0]
    return entry


def follow(objects: Objects, root: bytes, names: list[bytes]) -> tuple[list[bytes], TreeEntry] | None:
    """Return the same with symlinks followed as far as they stay in the tree.

    Returns:
        The path that was arrived at, and what is there; None if there is nothing.

    Raises:
        StageFailed: a symlink leads out of the tree, or in a circle.
    """
    at: list[bytes] = []
    rest = list(names)
    links = 0
    while rest:
        name = rest.pop(0)
        if name in (b"", b"."):
            continue
        if name == b"..":
            if not at:
                raise _outside(names)
            at.pop()
            continue
        found = find(objects, root, [*at, name])
        if found is None:
            return None
        if found.mode != SYMLINK:
            at.append(name)
            continue
        links += 1
        target = objects.read(found.oid, BLOB, MAX_LINK)
        if links > MAX_LINKS or target.startswith(b"/"):
            raise _outside(names)
        rest = [*target.split(b"/"), *rest]
    entry = find(objects, root, at)
    return None if entry is None else (at, entry)


def _outside(names: list[bytes]) -> StageFailed:
    return StageFailed(
        f"{show(b'/'.join(names))} is a symlink that leads out of the pushed tree, or in a circle",
        "make it a file, or let it point at a file of the repository",
    )
