"""Deltas of large objects: applied on disk, so that memory holds neither the base nor the result.

Small ones go through dulwich's compiled `apply_delta`. The format is in gitformat-pack(5), "Deltified representation".
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile, gettempdir
from typing import IO

from gitdeploy.errors import StageFailed
from gitdeploy.source.inflate import PIECE, Damaged

COPY = 0x80
DEFAULT_COPY_SIZE = 0x10000


def sizes(delta: bytes) -> tuple[int, int]:
    """Take a delta, or its first 20 bytes, which is all it needs; return the sizes of base and result. Raises Damaged."""
    found, shift, value = [], 0, 0
    for byte in delta[:20]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            found.append(value)
            shift = value = 0
            if len(found) == 2:
                return found[0], found[1]
    raise Damaged("a delta without its sizes")


def size_of_result(compressed: bytes) -> int:
    """Take the beginning of a delta's zlib stream; return the bytes of what it makes. Raises Damaged."""
    try:
        return sizes(zlib.decompressobj().decompress(compressed, 20))[1]
    except zlib.error:
        raise Damaged("a delta that is no compressed data") from None


def spool(pieces: Iterator[bytes]) -> IO[bytes]:
    """Write the pieces to a temporary file without a name; return it, rewound. Raises StageFailed if that is impossible."""
    try:
        with ExitStack() as undo:
            file = undo.enter_context(TemporaryFile())
            for piece in pieces:
                file.write(piece)
            file.flush()
            file.seek(0)
            undo.pop_all()
            return file
    except OSError as error:
        reason = f"a large file of the repository cannot be unpacked into {gettempdir()}: {error.strerror}"
        raise StageFailed(reason, "free space there; `git gc` on the server may make it unnecessary") from None


def apply(base: IO[bytes], delta: IO[bytes]) -> Iterator[bytes]:
    """Yield the result of a delta, in pieces. Takes both as files, read from their beginning; raises Damaged."""
    head = delta.read(20)
    base_size, size = sizes(head)
    if base_size != os.fstat(base.fileno()).st_size:
        raise Damaged("a delta whose base has another size")
    delta.seek(_after_sizes(head))
    left, pending = size, bytearray()
    while op := delta.read(1):
        data = _copied(base, delta, op[0]) if op[0] & COPY else delta.read(op[0])
        if not data or len(data) > left:
            raise Damaged("a delta with an instruction that leads nowhere")
        left -= len(data)
        pending += data
        if len(pending) >= PIECE:
            yield bytes(pending)
            pending.clear()
    if left:
        raise Damaged("a delta that ends early")
    yield bytes(pending)


def _after_sizes(head: bytes) -> int:
    ends = [i for i, byte in enumerate(head) if not byte & 0x80]
    return ends[1] + 1


def _copied(base: IO[bytes], delta: IO[bytes], op: int) -> bytes:
    """Return what a copy instruction takes from the base: bits 0-3 say which bytes of the offset follow, 4-6 of the size."""
    present = [bit for bit in range(7) if op & 1 << bit]
    given = delta.read(len(present))
    if len(given) < len(present):
        raise Damaged("a delta that ends early")
    fields = [0] * 7
    for bit, byte in zip(present, given, strict=True):
        fields[bit] = byte
    offset = int.from_bytes(fields[:4], "little")
    size = int.from_bytes(fields[4:], "little") or DEFAULT_COPY_SIZE
    data = os.pread(base.fileno(), size, offset)
    if len(data) != size:
        raise Damaged("a delta that copies from beyond its base")
    return data
