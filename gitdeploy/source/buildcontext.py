"""The build context of a commit: what `docker build` would send from a checkout, without a checkout.

It depends on nothing but the commit's tree and the times of its files: everything that .dockerignore leaves, with mode 644 or
755, and owner 0; as a tar stream the Dockerfile comes first. `export-ignore` is not applied: a checkout has those files too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gitdeploy.errors import StageFailed
from gitdeploy.source import tar
from gitdeploy.source.ages import Ages
from gitdeploy.source.bounds import DIRECTORY, SUBMODULE
from gitdeploy.source.commit import Commit
from gitdeploy.source.contents import Contents
from gitdeploy.source.ignore import MAX_FILE, IgnoreFilter, read_patterns
from gitdeploy.source.lfs import LfsObjects, LfsStore, read_pointer
from gitdeploy.source.listing import Patterns
from gitdeploy.source.objects import BLOB, Objects
from gitdeploy.source.repository import Repository
from gitdeploy.source.sameserver import HINT, SameServer
from gitdeploy.source.stream import ContextStream
from gitdeploy.source.submodules import Submodules, has_submodules
from gitdeploy.source.text import show
from gitdeploy.source.tree import TreeEntry, follow, read_tree, split
from gitdeploy.source.walk import Enter, Item, Source, TreeWalk
from gitdeploy.source.wanted import narrowed

MAX_DOCKERFILE = 1 << 20

MAX_CONTEXT = 2 * 10**9
"""Bytes of a context, unless somebody sets another limit."""

FORMAT = 2
"""Raised when equal trees begin to make other streams."""


@dataclass(frozen=True)
class _Place:
    """A path in the tree.

    Attributes:
        names: as it was asked for.
        real: with symlinks followed.
        entry: what is there.
    """

    names: list[bytes]
    real: list[bytes]
    entry: TreeEntry


class _Tree:
    """The tree of a commit, to find the parts of a context in it."""

    def __init__(self, objects: Objects, commit: Commit) -> None:
        self.objects = objects
        self.commit = commit
        self.root = bytes.fromhex(commit.tree)

    def place(self, names: list[bytes]) -> _Place | None:
        found = follow(self.objects, self.root, names)
        return _Place(names, *found) if found else None

    def directory(self, path: str) -> _Place:
        """Return the directory that is the context."""
        place = self.place(split(path, "the build context"))
        if place and place.entry.mode == DIRECTORY:
            return place
        what = "a submodule" if place and place.entry.mode == SUBMODULE else "a file" if place else "not there"
        found = [show(e.name) for e in read_tree(self.objects, self.root, b"") if e.mode == DIRECTORY]
        hint = f"set build.context; the directories are: {', '.join(found[:8]) or 'none'}"
        raise StageFailed(f"the build context {path!r} is {what} in commit {self.commit.id[:12]}", hint)

    def dockerfile(self, path: str, directory: _Place) -> _Place:
        """Return the Dockerfile; the plain name is looked for in the context first, and in lower case too, as Docker does."""
        names = split(path, "the Dockerfile")
        candidates = [names]
        if names == [b"Dockerfile"]:
            candidates = [[*where, name] for where in (directory.names, []) for name in (b"Dockerfile", b"dockerfile")]
        for candidate in candidates:
            place = self.place(candidate) if candidate else None
            if place and place.entry.mode in (DIRECTORY, SUBMODULE):
                raise StageFailed(f"the Dockerfile {path!r} is a directory in commit {self.commit.id[:12]}", "name a file")
            if place:
                return place
        near = [show(e.name) for e in read_tree(self.objects, directory.entry.oid, b"") if b"dockerfile" in e.name.lower()]
        hint = f"set build.dockerfile; there is {', '.join(near[:8])}" if near else "add one, or set build.dockerfile"
        raise StageFailed(f"there is no Dockerfile {path!r} in commit {self.commit.id[:12]}", hint)

    def ignored(self, dockerfile: _Place, directory: _Place) -> tuple[list[str], str]:
        """Return the patterns of NAME.dockerignore beside the Dockerfile, else of the context's; and the file's name."""
        *where, name = dockerfile.names
        for names in ([*where, name + b".dockerignore"], [*directory.names, b".dockerignore"]):
            place, file = self.place(names), show(names[-1])
            if place and place.entry.mode in (DIRECTORY, SUBMODULE):
                raise StageFailed(f"{file} is a directory in commit {self.commit.id[:12]}", "make it a file, or remove it")
            if place:
                return read_patterns(self.objects.read(place.entry.oid, BLOB, MAX_FILE, file)), file
        return [], ""


def open_context(
    repository: Repository,
    commit: Commit,
    *,
    directory: str = ".",
    dockerfile: str = "Dockerfile",
    lfs: LfsStore | None = None,
    submodules: SameServer | None = None,
    limit: int = MAX_CONTEXT,
    ages: Ages | None = None,
) -> ContextStream:
    """Return the build context of a commit.

    Args:
        directory: what is sent, a path from the root of the tree.
        dockerfile: a path from the root of the tree, which may lie outside of `directory`.
        lfs: the Git server's store of LFS objects; None makes an LFS pointer an error.
        submodules: the server whose repositories submodules may be; None makes a submodule an error.
        limit: bytes that the stream may have.
        ages: when the files of the commit's tree were last changed; None for a time of 0.

    Raises:
        StageFailed: there is no such directory or Dockerfile, they leave the tree, .dockerignore has a wrong pattern, a
            submodule cannot be taken. Iterating the context raises it for what turns up on the way.
    """
    tree = _Tree(repository.objects, commit)
    root = tree.directory(directory)
    file = tree.dockerfile(dockerfile, root)
    patterns, source = tree.ignored(file, root)
    top = Source(repository, tree.root, inside=b"".join(name + b"/" for name in root.real))
    finder = Submodules(submodules)

    def walk(enter: Enter, wanted: Patterns) -> Iterator[Item]:
        kept = narrowed(IgnoreFilter(patterns, source), wanted, top, root.entry.oid, enter)
        return TreeWalk(kept, enter).run(top, root.entry.oid)

    if has_submodules(top):
        _require_submodules(finder, lambda enter: walk(enter, Patterns()))
    item = Item(file.entry.mode, _sent_as(file, root), file.entry.oid, repository.objects)
    content = repository.objects.read(item.oid, BLOB, MAX_DOCKERFILE, show(b"/".join(file.names)))
    if read_pointer(content, item.path):
        reason = f"the Dockerfile {show(b'/'.join(file.names))} is a Git LFS pointer"
        raise StageFailed(reason, "keep the Dockerfile itself in Git: take it out of .gitattributes and commit it again")
    decisive = (FORMAT, root.entry.oid.hex(), show(item.path), item.oid.hex(), patterns)
    key = hashlib.sha256(repr(decisive).encode("utf-8", "surrogateescape")).hexdigest()
    repository.objects.largest = limit
    time_of = _clock(ages, top.inside) if ages else lambda path: 0
    contents = Contents(LfsObjects(lfs), limit)
    place = top.inside.decode("utf-8", "surrogateescape")

    def items(wanted: Patterns) -> Iterator[Item]:
        return walk(finder.enter, wanted)

    ignored = source == ".dockerignore" and item.path == b"/".join(file.real[len(root.real) :])
    return ContextStream(item, items, time_of, contents, content=content, key=key, place=place, ignored=ignored)


def _clock(ages: Ages, inside: bytes) -> Callable[[bytes], int]:
    """Return what gives the times of paths in the context, which is that directory of the tree; neighbors come in turn."""
    marks, directory, within = ages.marks, b"", ages.within(inside)

    def time_of(path: bytes) -> int:
        nonlocal directory, within
        here = path[: path.rfind(b"/") + 1]
        if here != directory:
            directory, within = here, ages.within(inside + here)
        return marks.get(inside + path, within)

    return time_of


def _sent_as(dockerfile: _Place, directory: _Place) -> bytes:
    """Its path in the stream: its own, or a hidden one if it is not in the context or too long for a plain header."""
    depth = len(directory.real)
    path = b"/".join(dockerfile.real[depth:])
    if dockerfile.real[:depth] == directory.real and len(path) <= tar.MAX_PLAIN:
        return path
    return b".dockerfile." + dockerfile.entry.oid.hex()[:12].encode()


def _require_submodules(finder: Submodules, walk: Callable[[Enter], Iterator[Item]]) -> None:
    """Raise StageFailed, naming all of them, if there are submodules that cannot be taken."""
    problems: list[str] = []

    def enter(parent: Source, path: bytes, commit: bytes) -> Source | None:
        try:
            return finder.enter(parent, path, commit)
        except StageFailed as error:
            problems.append(error.reason)
            return None

    for _ in walk(enter):
        pass
    if problems:
        raise StageFailed("; ".join(problems), HINT)
