"""The object database of a repository: its packs, its loose objects, and those of its alternates.

Every read is of one object by its id; memory holds one small object at a time, and pieces of a large one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from gitdeploy.errors import StageFailed
from gitdeploy.source.basecache import BaseCache
from gitdeploy.source.beneath import Directory
from gitdeploy.source.bounds import MAX_SIZE
from gitdeploy.source.inflate import LARGE, Content, Damaged, Large, TooLarge
from gitdeploy.source.loose import KINDS, loose_size, read_loose
from gitdeploy.source.pack import Pack

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4

_REST = re.compile("[0-9a-f]{38}")

BASES = 16 << 20
"""Bytes of delta bases that are kept."""


class Objects:
    """Reads objects by their 20-byte id, until `close`.

    Attributes:
        repository: its directory.
        largest: bytes that an object may have which is made of changes to others, on disk.
    """

    def __init__(self, repository: Path, directories: Sequence[Directory], missing: Sequence[Path] = ()) -> None:
        """Take the repository, for messages; its open object directory and those it borrows from; and paths of such that are
        not there."""
        self.largest = MAX_SIZE
        self.repository = repository
        self._directories = directories
        self._missing = missing
        self._bases = BaseCache(BASES)
        self._packs: list[Pack] = []
        self._known: set[tuple[Path, str]] = set()

    def close(self) -> None:
        """Close all packs."""
        for pack in self._packs:
            pack.close()
        self._packs.clear()

    def read(self, oid: bytes, kind: int, limit: int = LARGE, name: str = "") -> bytes:
        """Return the whole content of an object that should be small.

        Raises:
            StageFailed: it is missing, damaged, of another kind, or larger than `limit` bytes; then it is called `name`.
        """
        content = self.get(oid, kind)
        size = len(content) if isinstance(content, bytes) else content.size
        if size > limit:
            what = name or f"{KINDS[kind]} {oid.hex()}"
            raise StageFailed(f"{what} has {size:,} bytes, expected at most {limit:,}", f"make {what} smaller")
        try:
            return content if isinstance(content, bytes) else b"".join(content.pieces)
        except Damaged as damage:
            raise self.damaged(oid, damage) from None

    def get(self, oid: bytes, kind: int) -> Content:
        """Return the content of an object, in pieces if large. Raises StageFailed: missing, damaged, or of another kind."""
        found = self.lookup(oid)
        if found is None:
            raise self.missing(oid, kind)
        if found[0] != kind:
            raise StageFailed(f"{oid.hex()} is a {KINDS[found[0]]} where the repository needs a {KINDS[kind]}", self.hint)
        return found[1]

    def size(self, oid: bytes) -> int:
        """Return the bytes of an object, as announced; who reads it is told if that was wrong. Raises StageFailed."""
        try:
            if found := self._find(oid):
                return found[0].size(found[1])
            for file in self._open_loose(oid):
                with file:
                    return loose_size(file)
        except Damaged as damage:
            raise self.damaged(oid, damage) from None
        content = self.get(oid, BLOB)  # it has come into a pack meanwhile, or is missing
        return len(content) if isinstance(content, bytes) else content.size

    def lookup(self, oid: bytes) -> tuple[int, Content] | None:
        """Kind and content of an object, None if there is none of that id. Raises StageFailed if it is damaged."""
        try:
            found = self._packed(oid) or self._loose(oid) or self._arrived(oid)
            return found and (found[0], _checked(oid, *found))
        except Damaged as damage:
            raise self.damaged(oid, damage) from None

    def damaged(self, oid: bytes, damage: Damaged) -> StageFailed:
        """Return the error for an object whose content turned out damaged while it was read in pieces."""
        if isinstance(damage, TooLarge):
            return StageFailed(f"object {oid.hex()} of {self.repository} is too large: {damage}", "see build.max_context")
        return StageFailed(f"object {oid.hex()} of {self.repository} is damaged: {damage}", self.hint)

    @property
    def hint(self) -> str:
        """What to do about a repository that is not whole."""
        return f"see what `git -C {self.repository} fsck` says, and push the branch again from a whole clone"

    def missing(self, oid: bytes, kind: int) -> StageFailed:
        """Return the error for an object that is not there."""
        reason = f"{KINDS[kind]} {oid.hex()} is missing in {self.repository}: the repository is not complete"
        if self._missing:
            return StageFailed(
                f"{reason}; it borrows objects from {self._missing[0]}, which is not there",
                f"make that directory reachable under this path, or `git -C {self.repository} repack -a` where it is",
            )
        return StageFailed(reason, self.hint)

    def _packed(self, oid: bytes) -> tuple[int, Content] | None:
        found = self._find(oid)
        return found and found[0].read(found[1], self.largest)

    def _find(self, oid: bytes) -> tuple[Pack, int] | None:
        for i, pack in enumerate(self._packs):
            offset = pack.find(oid)
            if offset is not None:
                if i:  # the next object is likely to be in the same pack
                    self._packs.insert(0, self._packs.pop(i))
                return pack, offset
        return None

    def beginning_with(self, digits: str) -> Iterator[bytes]:
        """Yield the ids of all objects that begin with these hexadecimal digits, at least two. Raises StageFailed."""
        self._look_for_packs()
        seen: set[str] = set()
        for directory in self._directories:
            loose = directory.directory(digits[:2])
            if loose:
                names = loose.names()
                loose.close()
                seen |= {digits[:2] + name for name in names if _REST.fullmatch(name)}
        for pack in self._packs:
            try:
                seen |= {oid.hex() for oid in pack.beginning_with(bytes.fromhex(digits[: len(digits) // 2 * 2]))}
            except Damaged as damage:
                raise StageFailed(f"{self.repository}: {damage}", self.hint) from None
        yield from (bytes.fromhex(oid) for oid in sorted(seen) if oid.startswith(digits))

    def _arrived(self, oid: bytes) -> tuple[int, Content] | None:
        """Look into packs that have come since the last look: `git gc` turns loose objects into packs."""
        return self._packed(oid) if self._look_for_packs() else None

    def _look_for_packs(self) -> bool:
        """Open new packs; return whether there were any."""
        before = len(self._packs)
        for directory in self._directories:
            packs = directory.directory("pack")
            if packs is None:
                continue
            try:
                names = {*packs.names()}
                for name in sorted(name.removesuffix(".idx") for name in names if name.endswith(".idx")):
                    if (packs.path, name) not in self._known and f"{name}.pack" in names:
                        self._known.add((packs.path, name))
                        self._open(packs, name)
            finally:
                packs.close()
        return len(self._packs) > before

    def _open(self, packs: Directory, name: str) -> None:
        try:
            self._packs.append(Pack(packs, name, self._bases))
        except FileNotFoundError:
            pass  # repacked meanwhile: its objects are in another one
        except Damaged as damage:
            raise StageFailed(f"pack index {packs.path / name}.idx cannot be read: {damage}", self.hint) from None

    def _loose(self, oid: bytes) -> tuple[int, Content] | None:
        for file in self._open_loose(oid):
            return read_loose(file)
        return None

    def _open_loose(self, oid: bytes) -> Iterator[IO[bytes]]:
        """Yield the file of a loose object, if there is one; whoever takes it closes it."""
        name = oid.hex()
        for directory in self._directories:
            fd = directory.open(f"{name[:2]}/{name[2:]}")
            if fd is not None:
                yield os.fdopen(fd, "rb", buffering=0)


def _checked(oid: bytes, kind: int, content: Content) -> Content:
    """Return the content, if its id is of it: a writer of the repository could put other content under an id that was signed.

    Raises Damaged, for a large object when its last piece has been read.
    """
    size = len(content) if isinstance(content, bytes) else content.size
    digest = hashlib.sha1(b"%s %d\0" % (KINDS[kind].encode(), size), usedforsecurity=False)

    def pieces(content: Large) -> Iterator[bytes]:
        for piece in content.pieces:
            digest.update(piece)
            yield piece
        require()

    def require() -> None:
        if digest.digest() != oid:
            raise Damaged("its content has another id")

    if isinstance(content, Large):
        return Large(size, pieces(content))
    digest.update(content)
    require()
    return content
