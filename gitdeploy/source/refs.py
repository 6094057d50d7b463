"""The refs of a repository: files below refs/ and packed-refs, or reftables. dulwich reads their formats, this opens them.

dulwich's own containers are not used as they are: they follow links, wait for pipes, and the one for reftables makes
directories and removes refs/heads when it is opened.
"""

from __future__ import annotations

import os
import re
import struct
from io import BytesIO
from typing import Protocol

from dulwich.errors import FileFormatException
from dulwich.objects import ObjectID
from dulwich.refs import (
    Ref,
    RefsContainer,
    SymrefLoop,
    check_ref_format,
    read_packed_refs,
    read_packed_refs_with_peeled,
)

from gitdeploy.errors import StageFailed
from gitdeploy.source.beneath import Directory, Odd

MAX_REF = 4096
"""Bytes of one ref's file: an id, or "ref: " and a name."""

MAX_PACKED = 64 << 20
"""Bytes of packed-refs, and of one reftable: some 900,000 refs."""

MAX_REFS = 1_000_000
MAX_DEPTH = 100
"""Directories in one another below refs/."""

MAX_TABLES = 1000
MAX_LINKS = 5
"""Symbolic refs that lead to one another, as git follows them."""

_TABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.ref")
_DELETED, _PLAIN, _PEELED, _SYMBOLIC = 0, 1, 2, 3  # value types of reftable(5)

_HINT = "see what `git for-each-ref` says in it"


class Refs(Protocol):
    """The refs of an open repository."""

    def names(self) -> set[bytes]:
        """Return the full names of all refs. Raises StageFailed."""

    def get(self, name: bytes) -> bytes | None:
        """Return what a ref holds, symbolic ones followed: an id if all is well; None if there is none. Raises StageFailed."""


class FileRefs(RefsContainer):
    """Refs in files."""

    def __init__(self, directory: Directory) -> None:
        """Take the repository's directory, open for as long as this is used."""
        super().__init__()
        self._directory = directory
        self._packed: dict[Ref, ObjectID] = {}
        self._packed_key: tuple[int, ...] = ()

    def names(self) -> set[bytes]:
        """See Refs."""
        found: set[bytes] = set(self.get_packed_refs())
        top = self._directory.directory("refs")
        if top:
            self._collect(top, b"refs/", found, MAX_DEPTH)
        return found

    def _collect(self, directory: Directory, prefix: bytes, found: set[bytes], depth: int) -> None:
        """Add the names of what lies below a directory, of whatever type it is, and close the directory."""
        try:
            for name in directory.names():
                full = prefix + os.fsencode(name)
                try:
                    inner = directory.directory(name) if depth else None
                except Odd:
                    inner = None
                if inner:
                    self._collect(inner, full + b"/", found, depth - 1)
                elif check_ref_format(Ref(full)):
                    found.add(full)
                if len(found) > MAX_REFS:
                    raise StageFailed(f"{self._directory.path} has more than {MAX_REFS:,} refs", _HINT)
        finally:
            directory.close()

    def get(self, name: bytes) -> bytes | None:
        """See Refs."""
        try:
            return self.follow(Ref(name))[1]
        except SymrefLoop:
            raise StageFailed("symbolic refs lead to one another in a circle", _HINT) from None

    def read_loose_ref(self, name: Ref) -> bytes | None:
        """Return what the file of a ref holds, without the end of its line; None if it has none. Raises StageFailed."""
        if name != b"HEAD" and not (name.startswith(b"refs/") and check_ref_format(name)):
            return None
        try:
            data = self._directory.read(os.fsdecode(name), MAX_REF)
        except Odd as odd:
            if odd.kind in ("a directory", "a regular file"):
                return None  # another name begins with this one, or the other way round
            raise
        return None if data is None else data.split(b"\n", 1)[0].rstrip(b"\r")

    def get_packed_refs(self) -> dict[Ref, ObjectID]:
        """Return the refs in packed-refs, which is read again when it has been replaced. Raises StageFailed."""
        key = _key(self._directory, "packed-refs")
        if key != self._packed_key:
            self._packed = self._read_packed()
            self._packed_key = key
        return self._packed

    def _read_packed(self) -> dict[Ref, ObjectID]:
        data = self._directory.read("packed-refs", MAX_PACKED) or b""
        first, _, rest = data.partition(b"\n")
        try:
            if first.startswith(b"# pack-refs") and b" peeled" in first:
                return {name: oid for oid, name, _ in read_packed_refs_with_peeled(BytesIO(rest))}
            return {name: oid for oid, name in read_packed_refs(BytesIO(data))}
        except (FileFormatException, ValueError, IndexError):
            reason = f"{self._directory.path / 'packed-refs'} is damaged: expected lines of an id and the name of a ref"
            raise StageFailed(reason, _HINT) from None


class TableRefs:
    """Refs in reftables, which git 3 writes unless it is told otherwise."""

    def __init__(self, directory: Directory) -> None:
        """Take the repository's directory, open for as long as this is used."""
        self._directory = directory
        self._refs: dict[bytes, tuple[int, bytes]] = {}
        self._key: tuple[int, ...] = ()

    def names(self) -> set[bytes]:
        """See Refs."""
        return {name for name in self._read() if check_ref_format(Ref(name))}

    def get(self, name: bytes) -> bytes | None:
        """See Refs."""
        refs = self._read()
        for _ in range(MAX_LINKS):
            kind, value = refs.get(name, (_DELETED, b""))
            if kind != _SYMBOLIC:
                return value[:40] if kind in (_PLAIN, _PEELED) else None
            name = value
        raise StageFailed("symbolic refs lead to one another in a circle", _HINT)

    def _read(self) -> dict[bytes, tuple[int, bytes]]:
        key = _key(self._directory, "reftable/tables.list")
        if key != self._key or not key:
            self._refs = self._read_tables()
            self._key = key
        return self._refs

    def _read_tables(self) -> dict[bytes, tuple[int, bytes]]:
        from dulwich.reftable import ReftableReader  # noqa: PLC0415 (hardly any repository has them yet)

        listed = (self._directory.read("reftable/tables.list", MAX_REF * MAX_TABLES) or b"").decode("utf-8", "replace").split()
        tables: list[tuple[int, dict[bytes, tuple[int, bytes]]]] = []
        for name in listed:
            if not _TABLE.fullmatch(name) or len(tables) == MAX_TABLES:
                raise self._damaged("tables.list")
            data = self._directory.read(f"reftable/{name}", MAX_PACKED)
            try:
                table = ReftableReader(BytesIO(data or b""))
            except (ValueError, IndexError, KeyError, OverflowError, struct.error):
                raise self._damaged(name) from None
            tables.append((table.min_update_index, table.all_refs()))
        merged: dict[bytes, tuple[int, bytes]] = {}
        for _, refs in sorted(tables, key=lambda table: table[0]):
            merged |= refs
        return {name: found for name, found in merged.items() if found[0] != _DELETED}

    def _damaged(self, name: str) -> StageFailed:
        return StageFailed(f"{self._directory.path / 'reftable'}: a table, or the list of them, is damaged", _HINT)


def _key(directory: Directory, name: str) -> tuple[int, ...]:
    """Return what changes when git replaces a file; () if there is none."""
    try:
        facts = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    except OSError:
        return ()
    return (facts.st_mode, facts.st_ino, facts.st_size, facts.st_mtime_ns)
