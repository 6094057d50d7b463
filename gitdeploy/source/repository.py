"""A Git repository as a deployment reads it: refs, commits, single files. Nothing is written, and no git binary is run.

This runs in the process that `gitdeploy.source.reader` starts; the rest of gitdeploy asks that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from dulwich.refs import Ref, check_ref_format

from gitdeploy.errors import StageFailed
from gitdeploy.source.beneath import Directory
from gitdeploy.source.bounds import DIRECTORY, SUBMODULE, SYMLINK
from gitdeploy.source.commit import ID, Commit, headers, id_in, read_commit
from gitdeploy.source.inflate import Damaged
from gitdeploy.source.loose import KINDS
from gitdeploy.source.objects import BLOB, COMMIT, TAG, Objects
from gitdeploy.source.refs import FileRefs, Refs, TableRefs
from gitdeploy.source.settings import ObjectDirectories, refs_are_in_tables
from gitdeploy.source.text import printable
from gitdeploy.source.tree import find, split

MAX_TAGS = 10
"""Tags that point at tags, followed to a commit."""

_ABBREVIATED = re.compile(r"[0-9a-fA-F]{4,39}")


class Repository:
    """An open repository; a context manager that closes it.

    Attributes:
        path: as it was opened.
        objects: its object database.
    """

    def __init__(self, path: Path, refs: Refs, objects: Objects, opened: ExitStack) -> None:
        self.path = path
        self.objects = objects
        self._refs = refs
        self._opened = opened
        self._others: dict[Path, Repository] = {}

    def close(self) -> None:
        """Close its files."""
        for other in self._others.values():
            other.close()
        self._opened.close()

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def resolve(self, rev: str) -> Commit:
        """Return the commit that a name means.

        Takes a full ref name, a branch, a tag, an id or its first digits (at least 4); none of Git's operators (`~`, `@{…}`).
        Tags are followed to their commit.

        Raises:
            StageFailed: there is no such thing, it is ambiguous, or it is no commit.
        """
        return self._commit(self._object_id(rev), printable(rev[:200]))

    def holds(self, oid: str) -> bool:
        """Return whether there is an object of that id, 40 hexadecimal digits. Raises StageFailed if that cannot be known."""
        return ID.fullmatch(oid) is not None and self.objects.lookup(bytes.fromhex(oid)) is not None

    def refs(self) -> list[str]:
        """Return the full names of all refs, in order. Raises StageFailed."""
        names = self._refs.names()
        return sorted(name.decode("utf-8", "surrogateescape") for name in names if name.startswith(b"refs/"))

    def tip(self, ref: str) -> str | None:
        """Return the id of the commit that a full ref name points at; None if there is no such ref. Raises StageFailed."""
        oid = self._ref(ref)
        return None if oid is None else self._commit(oid, printable(ref)).id

    def read_file(self, commit: Commit, path: str, limit: int) -> bytes | None:
        """Return the content of a file of a commit.

        Takes its path from the root of the tree, and the bytes that it may have; returns None if there is nothing at that path.

        Raises:
            StageFailed: it is a directory, a symlink or a submodule, it is larger, or it cannot be read.
        """
        entry = find(self.objects, bytes.fromhex(commit.tree), split(path, "the path"))
        if entry is None:
            return None
        if wrong := {DIRECTORY: "a directory", SYMLINK: "a symlink", SUBMODULE: "a submodule"}.get(entry.mode):
            raise StageFailed(f"{path} is {wrong} in commit {commit.id[:12]}", f"make {path} a plain file")
        return self.objects.read(entry.oid, BLOB, limit, path)

    def raw(self, name: str) -> tuple[str, bytes]:
        """Kind and bytes of the object of an id, or of what a full ref name holds, not followed. Raises StageFailed."""
        oid = bytes.fromhex(name) if ID.fullmatch(name) else self._object_id(name)
        kind = (self.objects.lookup(oid) or (COMMIT,))[0]
        return KINDS[kind], self.objects.read(oid, kind)

    def other(self, path: Path, root: Path) -> Repository:
        """Another repository (a submodule's), which is closed with this one. Takes what `open_repository` does."""
        if path not in self._others:
            self._others[path] = open_repository(path, root)
            self._others[path].objects.largest = self.objects.largest
        return self._others[path]

    def _object_id(self, rev: str) -> bytes:
        if ID.fullmatch(rev):
            return bytes.fromhex(rev)
        names = [rev] if rev == "HEAD" or rev.startswith("refs/") else [f"refs/heads/{rev}", f"refs/tags/{rev}"]
        found = {oid: name for name in names if (oid := self._ref(name)) is not None}
        if not found and _ABBREVIATED.fullmatch(rev):
            found = {oid: oid.hex() for oid in self._abbreviated(rev.lower())}
        if not found:
            reason = f"{rev[:100]!r} is no branch, tag or commit of {self.path}"
            raise StageFailed(reason, "push it first, or give the full ref name or commit id")
        if len(found) > 1 and len({self._commit(oid).id for oid in found}) > 1:
            raise StageFailed(f"{rev[:100]!r} is ambiguous in {self.path}", f"say one of: {', '.join([*found.values()][:5])}")
        return next(iter(found))

    def _abbreviated(self, digits: str) -> Iterator[bytes]:
        for oid in self.objects.beginning_with(digits):
            found = self.objects.lookup(oid)
            if found and found[0] == COMMIT:
                yield oid

    def _ref(self, name: str) -> bytes | None:
        """Return the id that a ref holds, tags not followed."""
        try:
            ref = Ref(name.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            return None
        if name != "HEAD" and not (name.startswith("refs/") and check_ref_format(ref)):
            return None
        try:
            held = self._refs.get(ref)
        except StageFailed as error:
            raise StageFailed(f"ref {name} of {self.path} cannot be read: {error.reason}", error.hint) from None
        value = None if held is None else held.decode("ascii", "replace")
        if value is None:
            return None
        if not ID.fullmatch(value):
            # What it holds is not told: it may be a file that the pusher could not read.
            raise StageFailed(f"ref {name} of {self.path} does not hold a commit id", self.objects.hint)
        return bytes.fromhex(value)

    def _commit(self, oid: bytes, name: str = "") -> Commit:
        """Return the commit of that id, or that the tag of that id leads to; `name` is what it was asked for by."""
        kind, target = TAG, oid
        for _ in range(MAX_TAGS):
            found = self.objects.lookup(target)
            if found is None:
                raise self.objects.missing(target, COMMIT)
            kind = found[0]
            if kind != TAG:
                break
            tagged = id_in(headers(self.objects.read(target, TAG))[0], b"object")
            if tagged is None:
                raise self.objects.damaged(target, Damaged("its object is no id"))
            target = bytes.fromhex(tagged)
        if kind != COMMIT:
            reason = f"{name or oid.hex()} does not lead to a commit but to {KINDS[kind]} {target.hex()}"
            raise StageFailed(reason, "deploy a branch, a commit, or a tag of a commit")
        commit = read_commit(target.hex(), self.objects.read(target, COMMIT))
        if commit is None:
            raise self.objects.damaged(target, Damaged("its tree is no id"))
        return commit


def open_repository(path: Path, root: Path | None = None) -> Repository:
    """Open a repository, bare or not.

    Args:
        path: of the repository.
        root: a directory above it; links in it are followed, below it none is. None for the one that it lies in.

    Raises:
        StageFailed: there is no repository, it cannot be read, or something in it leads out of `root`.
    """
    root = root or path.parent
    with ExitStack() as opened:
        git = _git_directory(root, path, opened)
        own = git.directory("objects")
        refs = git.exists("refs")
        if own is None or not refs:
            if own:
                own.close()
            raise StageFailed(f"{path} is no Git repository: it has no objects/ and refs/", "restore it from a backup")
        directories = ObjectDirectories(root, own)
        opened.callback(directories.close)
        tables = refs_are_in_tables(git)
        objects = Objects(path, directories.opened, directories.missing)
        opened.callback(objects.close)
        return Repository(path, TableRefs(git) if tables else FileRefs(git), objects, opened.pop_all())
    raise AssertionError("unreachable")


def _git_directory(root: Path, path: Path, opened: ExitStack) -> Directory:
    """Return the directory with objects/ and refs/: the repository itself, or .git in it."""
    top = Directory.below(root, path)
    if top is None:
        raise StageFailed(f"there is no repository at {path}", "was it renamed or deleted? enrol it again under its new name")
    opened.callback(top.close)
    inner = top.directory(".git")
    if inner is None:
        return top
    opened.callback(inner.close)
    return inner
