"""Git LFS: pointer files, and the objects they stand for in the Git server's own store.

The pointer format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md. A Git server keeps the objects of all
repositories in one store, and in its database which of them each may have: whoever pushes a pointer chooses its id.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gitdeploy.errors import StageFailed
from gitdeploy.source.inflate import PIECE
from gitdeploy.source.text import show

if TYPE_CHECKING:
    from sqlite3 import Connection

MAX_POINTER = 1023
"""Bytes; a larger file is no pointer."""

PATIENCE = 600.0
"""Seconds for all questions of one context to the Git server's database."""

_VERSIONS = (b"version https://git-lfs.github.com/spec/v1\n", b"version https://hawser.github.com/spec/v1\n")
_OID = re.compile(rb"sha256:([0-9a-f]{64})")
_SIZE = re.compile(rb"[0-9]{1,18}")


class Owners(NamedTuple):
    """Where a Git server's SQLite database says which object is which repository's.

    Attributes:
        database: the file.
        table: of objects, with a column "oid".
        repository: the column in it for the id of a row in "repository".
    """

    database: Path
    table: str
    repository: str


@dataclass(frozen=True)
class LfsStore:
    """A Git server's store of objects.

    Attributes:
        path: its directory.
        width: digits of the id in the name of each of the two levels of directories below it.
        whole: whether the file is called by the whole id, or by what the directories leave of it.
        owners: which object is whose; None where that cannot be looked up.
    """

    path: Path
    width: int
    whole: bool
    owners: Owners | None

    def place(self, oid: str) -> Path:
        """Return where the object with this id is."""
        first, second, rest = oid[: self.width], oid[self.width : 2 * self.width], oid[2 * self.width :]
        return self.path / first / second / (oid if self.whole else rest)

    def plain(self) -> dict[str, object]:
        """Return what `from_plain` makes it of again: texts, numbers and lists."""
        owners = [str(value) for value in self.owners] if self.owners else None
        return {"path": str(self.path), "width": self.width, "whole": self.whole, "owners": owners}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> LfsStore:
        """Return the same from what `plain` returned."""
        database, table, column = plain["owners"] or ("", "", "")
        owners = Owners(Path(database), table, column) if database else None
        return cls(Path(plain["path"]), plain["width"], plain["whole"], owners)


class Pointer(NamedTuple):
    """What a pointer file says.

    Attributes:
        oid: SHA-256 of the content, 64 hexadecimal digits.
        size: bytes.
    """

    oid: str
    size: int


def read_pointer(data: bytes, path: bytes) -> Pointer | None:
    """Take the content of a file; return None if it is no pointer. Raises StageFailed if it is a wrong one."""
    if not data.startswith(_VERSIONS) or len(data) > MAX_POINTER:
        return None
    values = dict(line.partition(b" ")[::2] for line in data.splitlines())
    oid = _OID.fullmatch(values.get(b"oid", b""))
    size = _SIZE.fullmatch(values.get(b"size", b""))
    if not oid or not size:
        found = show(values.get(b"oid", b"none") if size else values.get(b"size", b"none"))
        reason = f"the Git LFS pointer {show(path)} has a wrong {'id' if size else 'size'}: {found}"
        raise StageFailed(reason, 'expected "oid sha256:" with 64 digits and "size"; let `git lfs` write it again')
    if any(key.startswith(b"ext-") for key in values):
        raise StageFailed(f"the Git LFS pointer {show(path)} needs an LFS extension, which gitdeploy does not have", _HINT)
    return Pointer(oid[1].decode(), int(size[0]))


class LfsObjects:
    """The objects of one build context."""

    def __init__(self, store: LfsStore | None) -> None:
        """Take the Git server's store, None if it has none."""
        self._store = store
        self._tables: Connection | None = None

    def read(self, pointer: Pointer, path: bytes, repository: Path) -> Iterator[bytes]:
        """Return the content that a pointer stands for, in pieces.

        Args:
            path: of the pointer file, for messages.
            repository: whose commit it is in: ROOT/owner/name.git.

        Raises:
            StageFailed: at once if the object is not that repository's, not there or has another size, at the end if its
                content has another hash.
        """
        store = self._store
        if store is None:
            raise StageFailed(f"{show(path)} is a Git LFS pointer, and the Git server has no LFS store", _HINT)
        place = store.place(pointer.oid)
        what = f"the Git LFS object of {show(path)} ({pointer.oid[:12]}…, {pointer.size:,} bytes)"
        if store.owners and not self._owned(store.owners, pointer.oid, repository, what):
            raise StageFailed(f"{what} is not one of this repository's", _PUSH)
        try:
            file = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise StageFailed(f"{what} is not at {place}: {error.strerror}", _PUSH) from None
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size != pointer.size:
            os.close(file)
            raise StageFailed(f"{what} has {status.st_size:,} bytes at {place}", "push it again: `git lfs push --all origin`")
        return _checked(file, pointer, what)

    def _owned(self, owners: Owners, oid: str, repository: Path, what: str) -> bool:
        """Whether the Git server has got the object for this repository."""
        import sqlite3  # noqa: PLC0415 (few contexts hold a pointer)

        from gitdeploy.source.servertables import open_tables  # noqa: PLC0415

        query = (
            f"SELECT 1 FROM {owners.table} AS object JOIN repository ON repository.id = object.{owners.repository} "
            'JOIN "user" AS owner ON owner.id = repository.owner_id '
            "WHERE object.oid = ? AND owner.lower_name = ? AND repository.lower_name = ? LIMIT 1"
        )
        try:
            if self._tables is None:
                self._tables = open_tables(owners.database, PATIENCE)
            name = repository.name.removesuffix(".git").lower()
            return self._tables.execute(query, (oid, repository.parent.name.lower(), name)).fetchone() is not None
        except (sqlite3.Error, OSError) as error:
            reason = f"whether {what} is this repository's cannot be looked up in {owners.database}: {error}"
            hint = "[database] PATH in app.ini has to name a file that gitdeploy can read, too"
            raise StageFailed(reason, hint) from None


def _checked(file: int, pointer: Pointer, what: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as content:
        while piece := content.read(PIECE):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != pointer.oid:
        raise StageFailed(f"{what} is damaged: its SHA-256 is {digest.hexdigest()[:12]}…", "restore it from a backup")


_PUSH = "push it: `git lfs push --all origin`"
_HINT = "push real files, or list them in .dockerignore"
