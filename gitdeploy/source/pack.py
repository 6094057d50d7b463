"""One pack file: finds objects in it and reads them, large ones in pieces.

dulwich finds an object in the index and applies small deltas, both compiled. The pack itself is read here, with plain reads
of just the object's bytes: a mapped pack would count as memory as it is walked through, and a 500 MB object would be held
in memory at once. The format is gitformat-pack(5).
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from dulwich.errors import ApplyDeltaError
from dulwich.object_format import SHA1
from dulwich.objects import RawObjectID
from dulwich.pack import apply_delta, load_pack_index_file

from gitdeploy.source import delta
from gitdeploy.source.basecache import BaseCache
from gitdeploy.source.beneath import Directory
from gitdeploy.source.bounds import MAX_SIZE
from gitdeploy.source.inflate import LARGE, PIECE, Content, Damaged, Large, TooLarge, inflate, inflate_pieces

PEEK = 8 << 10
"""Bytes of the first read of an object: most source files are whole in it."""

GLANCE = 512
"""Bytes that hold an object's size, compressed or not."""

OFS_DELTA, REF_DELTA = 6, 7

BAD_INDEX = (struct.error, ValueError, IndexError, AssertionError, OverflowError, TypeError)
"""What dulwich raises when an index is damaged, besides KeyError."""

LONGEST_CHAIN = 4095
"""Deltas of deltas, as git makes them at most (pack.depth)."""

MAX_MATCHES = 10_000
"""Objects that begin with the same digits; two would do to call them ambiguous."""


class _Entry(NamedTuple):
    """An object as it is stored (a tuple: one is made for every file).

    Attributes:
        offset: where it begins in the pack.
        kind: 1 to 4 for commit, tree, blob and tag; OFS_DELTA or REF_DELTA.
        size: bytes after decompression.
        base: offset of the object that a delta is applied to, 0 for others.
        data: where its zlib stream begins in the pack.
        head: the pack from `offset` on, as far as it was read.
    """

    offset: int
    kind: int
    size: int
    base: int
    data: int
    head: bytes


class Pack:
    """A pack and its index, open until `close`."""

    def __init__(self, directory: Directory, name: str, bases: BaseCache) -> None:
        """Take where it is and its name without ".idx". Raises FileNotFoundError, Damaged, StageFailed for odd file types."""
        self._bases = bases
        index, pack = directory.open(f"{name}.idx"), directory.open(f"{name}.pack")
        if index is None or pack is None:
            for fd in (index, pack):
                if fd is not None:
                    os.close(fd)
            raise FileNotFoundError
        self._file = pack
        file = os.fdopen(index, "rb")
        try:
            self._index = load_pack_index_file(str(directory.path / f"{name}.idx"), file, SHA1)
        except (KeyError, *BAD_INDEX):
            file.close()
            os.close(pack)
            raise Damaged("it has an unknown version, or is cut off") from None

    def close(self) -> None:
        """Close both files."""
        self._index.close()
        os.close(self._file)

    def find(self, oid: bytes) -> int | None:
        """Return the offset of an object (20 bytes), None if it is not in this pack. Raises Damaged."""
        try:
            offset = self._index.object_offset(RawObjectID(oid))
        except KeyError:
            return None
        except BAD_INDEX:
            raise Damaged("the index of its pack is damaged") from None
        if offset > MAX_SIZE:
            raise Damaged("the index of its pack names a place that no pack has")
        return offset

    def beginning_with(self, prefix: bytes) -> list[bytes]:
        """Return the first ids in it, in order, that begin with these bytes, at most MAX_MATCHES. Raises Damaged."""
        try:
            at = bisect_left(range(len(self._index)), prefix, key=self._index.object_sha_at_position)
            found = map(self._index.object_sha_at_position, range(at, min(at + MAX_MATCHES, len(self._index))))
            return [bytes(oid) for oid in takewhile(lambda oid: oid.startswith(prefix), found) if len(oid) == 20]
        except (KeyError, *BAD_INDEX):
            raise Damaged("the index of a pack is damaged") from None

    def read(self, offset: int, largest: int = MAX_SIZE) -> tuple[int, Content]:
        """Return the kind (1 commit, 2 tree, 3 blob, 4 tag) and content of the object at an offset.

        Raises:
            Damaged: also while pieces are read.
            TooLarge: it is made of objects of which one has more than `largest` bytes.
        """
        entry = self._entry(offset)
        if entry.base:
            return self._delta_in_memory(entry) or self._delta_on_disk(entry, largest)
        if entry.size > LARGE:
            return entry.kind, Large(entry.size, self._pieces(entry))
        return entry.kind, self._whole(entry)

    def size(self, offset: int) -> int:
        """Return the bytes of the object at an offset, from its head. Raises Damaged."""
        entry = self._entry(offset, GLANCE)
        return delta.size_of_result(entry.head[entry.data - offset :]) if entry.base else entry.size

    def _entry(self, offset: int, peek: int = PEEK) -> _Entry:
        head = os.pread(self._file, peek, offset)
        try:
            byte = head[0]
            kind, size = byte >> 4 & 7, byte & 15
            at, shift = 1, 4
            while byte & 0x80 and shift < 64:
                byte = head[at]
                size |= (byte & 0x7F) << shift
                at, shift = at + 1, shift + 7
            if size > MAX_SIZE:
                raise Damaged("an object of a size that none has")
            base = 0
            if kind == OFS_DELTA:
                byte = head[at]
                back = byte & 0x7F
                while byte & 0x80 and back < MAX_SIZE:
                    at += 1
                    byte = head[at]
                    back = (back + 1) << 7 | byte & 0x7F
                base, at = offset - back, at + 1
            elif kind == REF_DELTA:
                base, at = self.find(head[at : at + 20]) or 0, at + 20
        except IndexError:
            raise Damaged("the pack ends early") from None
        if kind in (0, 5) or (kind > 5 and not 0 < base < MAX_SIZE):
            raise Damaged("an object of an unknown kind, or a delta without a base")
        return _Entry(offset, kind, size, base, offset + at, head)

    def _whole(self, entry: _Entry) -> bytes:
        start = entry.data - entry.offset
        need = entry.size + (entry.size >> 3) + 64  # deflate never makes data longer than this
        if need <= len(entry.head) - start or len(entry.head) < PEEK:
            return inflate(memoryview(entry.head)[start:], entry.size)
        return inflate(os.pread(self._file, need, entry.data), entry.size)

    def _pieces(self, entry: _Entry) -> Iterator[bytes]:
        at = entry.data

        def read() -> bytes:
            nonlocal at
            data = os.pread(self._file, PIECE, at)
            at += len(data)
            return data

        return inflate_pieces(read, entry.size)

    def _delta_in_memory(self, entry: _Entry) -> tuple[int, bytes] | None:
        """Resolve a chain of deltas from the nearest base that is at hand; None if anything in it is large."""
        known = self._bases.get((self._file, entry.offset))
        chain: list[_Entry] = []
        while entry.base and not known:
            self._follow(chain, entry)
            known = self._bases.get((self._file, entry.base))
            entry = self._entry(entry.base) if not known else entry
        if any(link.size > LARGE for link in (*chain, entry)):
            return None
        kind, data = known or (entry.kind, self._whole(entry))
        for link in reversed(chain):
            self._bases.put((self._file, link.base), kind, data)
            change = self._whole(link)
            if delta.sizes(change)[1] > LARGE:
                return None
            try:
                data = b"".join(apply_delta(data, change))
            except ApplyDeltaError:
                raise Damaged("a delta that does not fit its base") from None
        return kind, data

    def _delta_on_disk(self, entry: _Entry, largest: int) -> tuple[int, Large]:
        """Return the same for large objects. All sizes are looked at before anything is expanded."""
        chain: list[_Entry] = []
        while entry.base:
            self._follow(chain, entry)
            entry = self._entry(entry.base)
        results = [delta.size_of_result(link.head[link.data - link.offset :]) for link in chain]
        if max(entry.size, *results, *(link.size for link in chain)) > largest:
            raise TooLarge(f"it is stored as a change of an object of more than {largest:,} bytes")
        return entry.kind, Large(results[0], self._applied(entry, chain))

    def _follow(self, chain: list[_Entry], entry: _Entry) -> None:
        chain.append(entry)
        if len(chain) > LONGEST_CHAIN:
            raise Damaged("a chain of deltas without an end")

    def _applied(self, base: _Entry, chain: list[_Entry]) -> Iterator[bytes]:
        """Yield the pieces of the object that begins `chain`; every object below it is a temporary file meanwhile."""
        below = delta.spool(self._pieces(base))
        try:
            for link in reversed(chain[1:]):
                with delta.spool(self._pieces(link)) as change:
                    above = delta.spool(delta.apply(below, change))
                below.close()
                below = above
            with delta.spool(self._pieces(chain[0])) as change:
                yield from delta.apply(below, change)
        finally:
            below.close()
