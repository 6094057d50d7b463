"""The object database of a repository: its packs, its loose objects, and those of its alternates.

Every read is of one object by its id; memory holds one small object at a time, and pieces of a large one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from gitdeploy.errors import StageFailed
from gitdeploy.source.inflate import LARGE, PIECE, Content, Damaged, Large, inflate_pieces
from gitdeploy.source.pack import BAD_INDEX, PEEK, BaseCache, Pack

KINDS = ("", "commit", "tree", "blob", "tag")
COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4

BASES = 16 << 20
"""Bytes of delta bases that are kept."""


class Objects:
    """Reads objects by their 20-byte id, until `close`."""

    def __init__(self, repository: Path, directories: Sequence[Path]) -> None:
        """Takes the repository, for messages, and its object directories: its own first, then those of its alternates."""
        self._repository = repository
        self._directories = directories
        self._bases = BaseCache(BASES)
        self._packs: list[Pack] = []
        self._known: set[Path] = set()

    def close(self) -> None:
        """Closes all packs."""
        for pack in self._packs:
            pack.close()
        self._packs.clear()

    def read(self, oid: bytes, kind: int, limit: int = LARGE, name: str = "") -> bytes:
        """The whole content of an object that should be small.

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
        """The content of an object, in pieces if it is large. Raises StageFailed: missing, damaged, or of another kind."""
        found = self.lookup(oid)
        if found is None:
            raise self.missing(oid, kind)
        if found[0] != kind:
            raise StageFailed(f"{oid.hex()} is a {KINDS[found[0]]} where the repository needs a {KINDS[kind]}", self.hint)
        return found[1]

    def lookup(self, oid: bytes) -> tuple[int, Content] | None:
        """Kind and content of an object, None if there is none of that id. Raises StageFailed if it is damaged."""
        try:
            found = self._packed(oid) or self._loose(oid) or self._arrived(oid)
            return found and (found[0], _checked(oid, *found))
        except Damaged as damage:
            raise self.damaged(oid, damage) from None

    def damaged(self, oid: bytes, damage: Damaged) -> StageFailed:
        """The error for an object whose content turned out damaged while it was read in pieces."""
        return StageFailed(f"object {oid.hex()} of {self._repository} is damaged: {damage}", self.hint)

    @property
    def hint(self) -> str:
        """What to do about a repository that is not whole."""
        return f"see what `git -C {self._repository} fsck` says, and push the branch again from a whole clone"

    def missing(self, oid: bytes, kind: int) -> StageFailed:
        """The error for an object that is not there."""
        reason = f"{KINDS[kind]} {oid.hex()} is missing in {self._repository}: the repository is not complete"
        for directory in self._directories[1:]:
            if not directory.is_dir():
                return StageFailed(
                    f"{reason}; it borrows objects from {directory}, which is not there",
                    f"make that directory reachable under this path, or `git -C {self._repository} repack -a` where it is",
                )
        return StageFailed(reason, self.hint)

    def _packed(self, oid: bytes) -> tuple[int, Content] | None:
        for i, pack in enumerate(self._packs):
            offset = pack.find(oid)
            if offset is not None:
                if i:  # the next object is likely to be in the same pack
                    self._packs.insert(0, self._packs.pop(i))
                return pack.read(offset)
        return None

    def _arrived(self, oid: bytes) -> tuple[int, Content] | None:
        """Looks for packs that have come since the last look (`git gc` turns loose objects into packs), then into them."""
        before = len(self._packs)
        for directory in self._directories:
            for index in (directory / "pack").glob("*.idx"):
                if index not in self._known and index.with_suffix(".pack").exists():
                    self._known.add(index)
                    self._open(index)
        return self._packed(oid) if len(self._packs) > before else None

    def _open(self, index: Path) -> None:
        try:
            self._packs.append(Pack(index, self._bases))
        except FileNotFoundError:
            pass  # repacked meanwhile: its objects are in another one
        except (OSError, KeyError, *BAD_INDEX) as error:
            raise StageFailed(f"pack index {index} cannot be read: {error}", self.hint) from None

    def _loose(self, oid: bytes) -> tuple[int, Content] | None:
        name = oid.hex()
        for directory in self._directories:
            try:
                file = open(f"{directory}/{name[:2]}/{name[2:]}", "rb", buffering=0)  # noqa: PTH123, SIM115 - in the hot path
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StageFailed(f"object {name} of {self._repository} cannot be read: {error.strerror}", self.hint) from None
            return _read_loose(file)
        return None


def _checked(oid: bytes, kind: int, content: Content) -> Content:
    """The content, if its id is of it: who can write to the repository could put other content under an id that was signed.

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


def _read_loose(file: IO[bytes]) -> tuple[int, Content]:
    """A loose object: a zlib stream of "KIND SIZE", a NUL and the content (gitformat-loose(5))."""
    stream = zlib.decompressobj()
    try:
        start = stream.decompress(file.read(PEEK), PEEK)
        head, _, content = start.partition(b"\0")
        word, size = head.split(b" ")
        kind, left = KINDS.index(word.decode()), int(size) - len(content)
    except (zlib.error, ValueError):
        file.close()
        raise Damaged("a loose object without a header") from None
    pieces = _continue(file, content, left, stream)
    if left + len(content) > LARGE:
        return kind, Large(left + len(content), pieces)
    return kind, b"".join(pieces)


def _continue(file: IO[bytes], content: bytes, left: int, stream: zlib._Decompress) -> Iterator[bytes]:
    with file:
        yield content
        yield from inflate_pieces(lambda: file.read(PIECE), left, stream)
