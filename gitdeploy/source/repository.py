"""A Git repository as a deployment reads it: refs, commits, single files. Nothing is written, and no git binary is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dulwich.errors import FileFormatException, NotGitRepository
from dulwich.object_format import SHA1
from dulwich.object_store import DiskObjectStore
from dulwich.refs import Ref, SymrefLoop, check_ref_format
from dulwich.repo import InvalidWorktreeConfiguration, Repo, UnsupportedExtension, UnsupportedVersion

from gitdeploy.errors import StageFailed
from gitdeploy.source.inflate import Damaged
from gitdeploy.source.objects import BLOB, COMMIT, KINDS, TAG, Objects
from gitdeploy.source.tree import DIRECTORY, SUBMODULE, SYMLINK, find, printable, show, split

MAX_TAGS = 10
"""Tags that point at tags, followed to a commit."""

MAX_ALTERNATES = 5
"""Repositories that borrow from one another in a row, as Git allows."""

_ID = re.compile(r"[0-9a-fA-F]{40}")
_ABBREVIATED = re.compile(r"[0-9a-fA-F]{4,39}")
_PERSON = re.compile(rb"(.*?) (\d+) [+-]\d{4}")


@dataclass(frozen=True)
class Commit:
    """A commit.

    Attributes:
        id: 40 hexadecimal digits.
        tree: id of its tree, likewise.
        subject: first line of its message, printable.
        author: "Name <address>", printable.
        time: of the commit, seconds since the epoch.
    """

    id: str
    tree: str
    subject: str
    author: str
    time: int


class Repository:
    """An open repository; a context manager that closes it.

    Attributes:
        path: as it was opened.
        objects: its object database.
    """

    def __init__(self, path: Path, repo: Repo) -> None:
        self.path = path
        self._repo = repo
        self._others: dict[Path, Repository] = {}
        self.objects = Objects(path, [*_object_directories(repo.object_store, MAX_ALTERNATES)])

    def close(self) -> None:
        """Closes its files."""
        for other in self._others.values():
            other.close()
        self.objects.close()
        self._repo.close()

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def resolve(self, rev: str) -> Commit:
        """The commit that a name means.

        Takes a full ref name, a branch, a tag, an id or its first digits (at least 4); none of Git's operators (`~`, `@{…}`).
        Tags are followed to their commit.

        Raises:
            StageFailed: there is no such thing, it is ambiguous, or it is no commit.
        """
        return self._commit(self._object_id(rev))

    def refs(self) -> list[str]:
        """The full names of all refs, in order. Raises StageFailed."""
        try:
            names = self._repo.refs.allkeys()
        except (OSError, FileFormatException, ValueError) as error:
            raise StageFailed(f"the refs of {self.path} cannot be read: {error}", self.objects.hint) from None
        return sorted(name.decode("utf-8", "surrogateescape") for name in names if name.startswith(b"refs/"))

    def tip(self, ref: str) -> str | None:
        """The id of the commit that a full ref name points at; None if there is no such ref. Raises StageFailed."""
        oid = self._ref(ref)
        return None if oid is None else self._commit(oid).id

    def read_file(self, commit: Commit, path: str, limit: int) -> bytes | None:
        """The content of a file of a commit.

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
        oid = bytes.fromhex(name) if _ID.fullmatch(name) else self._object_id(name)
        kind = (self.objects.lookup(oid) or (COMMIT,))[0]
        return KINDS[kind], self.objects.read(oid, kind)

    def other(self, path: Path) -> Repository:
        """Another repository (a submodule's), which is closed with this one. Raises StageFailed."""
        if path not in self._others:
            self._others[path] = open_repository(path)
        return self._others[path]

    def _object_id(self, rev: str) -> bytes:
        if _ID.fullmatch(rev):
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
        for oid in self._repo.object_store.iter_prefix(digits.encode()):
            found = self.objects.lookup(bytes.fromhex(oid.decode()))
            if found and found[0] == COMMIT:
                yield bytes.fromhex(oid.decode())

    def _ref(self, name: str) -> bytes | None:
        """The id that a ref holds, tags not followed."""
        try:
            ref = Ref(name.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            return None
        if name != "HEAD" and not (name.startswith("refs/") and check_ref_format(ref)):
            return None
        try:
            value = self._repo.refs[ref].decode("ascii", "replace")
        except KeyError:
            return None
        except (OSError, SymrefLoop, FileFormatException, ValueError) as error:
            raise StageFailed(f"ref {name} of {self.path} cannot be read: {error}", self.objects.hint) from None
        if not _ID.fullmatch(value):
            # What it holds is not told: the ref may be a link to a file that the pusher could not read.
            raise StageFailed(f"ref {name} of {self.path} does not hold a commit id", self.objects.hint)
        return bytes.fromhex(value)

    def _commit(self, oid: bytes) -> Commit:
        """The commit of that id, or that the tag of that id leads to."""
        kind, target = TAG, oid
        for _ in range(MAX_TAGS):
            found = self.objects.lookup(target)
            if found is None:
                raise self.objects.missing(target, COMMIT)
            kind = found[0]
            if kind != TAG:
                break
            target = self._id(_headers(self.objects.read(target, TAG))[0], b"object", target)
        if kind != COMMIT:
            reason = f"{oid.hex()} does not lead to a commit but to {KINDS[kind]} {target.hex()}"
            raise StageFailed(reason, "deploy a branch, a commit, or a tag of a commit")
        return self._parse_commit(target)

    def _parse_commit(self, oid: bytes) -> Commit:
        headers, message = _headers(self.objects.read(oid, COMMIT))
        encoding = headers.get(b"encoding", b"utf-8").decode("ascii", "replace")
        (author, _), (_, when) = (_person(headers.get(key, b"")) for key in (b"author", b"committer"))
        return Commit(
            id=oid.hex(),
            tree=self._id(headers, b"tree", oid).hex(),
            subject=_text(message.lstrip(b"\n").split(b"\n", 1)[0], encoding),
            author=_text(author, encoding),
            time=when,
        )

    def _id(self, headers: dict[bytes, bytes], key: bytes, oid: bytes) -> bytes:
        value = headers.get(key, b"").decode("ascii", "replace")
        if not _ID.fullmatch(value):
            raise self.objects.damaged(oid, Damaged(f"its {key.decode()} is no id"))
        return bytes.fromhex(value)


def open_repository(path: Path) -> Repository:
    """Opens a repository, bare or not. Raises StageFailed if there is none that can be read."""
    if not path.is_dir():
        raise StageFailed(f"there is no repository at {path}", "was it renamed or deleted? enrol it again under its new name")
    try:
        repo = Repo(path)
    except NotGitRepository:
        raise StageFailed(f"{path} is no Git repository: it has no objects/ and refs/", "restore it from a backup") from None
    except (UnsupportedVersion, UnsupportedExtension, InvalidWorktreeConfiguration) as error:
        raise StageFailed(f"{path} has a format that gitdeploy cannot read: {error}", "see its config file") from None
    except (OSError, ValueError) as error:
        raise StageFailed(f"{path} cannot be opened: {error}", "its files must be readable by the user of the worker") from None
    if repo.object_format != SHA1:
        repo.close()
        raise StageFailed(f"{path} uses SHA-256 object ids, which gitdeploy cannot read", "use a SHA-1 repository")
    return Repository(path, repo)


def _object_directories(store: DiskObjectStore, depth: int) -> Iterator[Path]:
    yield Path(store.path)
    if depth:
        for alternate in store.alternates:
            assert isinstance(alternate, DiskObjectStore)
            yield from _object_directories(alternate, depth - 1)


def _headers(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The headers and the message of a commit or tag; of a header that comes twice, the first."""
    head, _, message = data.partition(b"\n\n")
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        headers.setdefault(key, value)
    return headers, message


def _person(value: bytes) -> tuple[bytes, int]:
    """Name and time of "Name <address> SECONDS ZONE"; the whole text and 0 for what does not look so."""
    match = _PERSON.fullmatch(value)
    return (match[1], int(match[2])) if match else (value, 0)


def _text(value: bytes, encoding: str) -> str:
    try:
        return printable(value.decode(encoding, "replace"))
    except LookupError:
        return show(value)
