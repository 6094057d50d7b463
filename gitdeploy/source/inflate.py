"""zlib streams of a known size, whole or in pieces: objects in packs and loose objects are both that."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LARGE = 2 << 20
"""Objects above this many bytes are streamed; smaller ones are held in memory, a few at a time."""

PIECE = 256 << 10
"""Bytes of one piece of a large object, before and after decompression."""

SMALL = 16 << 10
"""Compressed bytes that cannot expand to more than 16 MB."""

_NO_STREAM = "its compressed data is cut off or no such data"


class Damaged(Exception):
    """The repository holds bytes that are no Git object: the message says what is wrong with them."""


class TooLarge(Damaged):
    """Whole, but larger than it may be."""


@dataclass(frozen=True)
class Large:
    """The content of an object above LARGE.

    Attributes:
        size: bytes.
        pieces: the content, to be read once; raises Damaged.
    """

    size: int
    pieces: Iterator[bytes]


Content = bytes | Large


def inflate(compressed: bytes | memoryview, size: int) -> bytes:
    """Return the `size` bytes that a zlib stream expands to; what follows the stream is ignored. Raises Damaged."""
    try:
        if len(compressed) <= SMALL:
            data = zlib.decompress(compressed, bufsize=size)
        else:  # a stream may expand to a thousand times of its length, whatever was announced
            stream = zlib.decompressobj()
            data = stream.decompress(compressed, size + 1)
            if len(data) == size and not stream.eof:
                data += stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error:
        raise Damaged(_NO_STREAM) from None
    if len(data) != size:
        raise Damaged(f"its data does not have the {size:,} bytes that were announced")
    return data


def inflate_pieces(read: Callable[[], bytes], size: int, stream: zlib._Decompress | None = None) -> Iterator[bytes]:
    """Yield the same in pieces, for a stream that arrives in pieces.

    Args:
        read: returns the next compressed bytes, b"" at the end.
        size: bytes that must still come out.
        stream: a decompressor that has been fed already.
    """
    stream = stream or zlib.decompressobj()
    left = size
    while not stream.eof:
        compressed = stream.unconsumed_tail or read()
        try:
            data = stream.decompress(compressed, PIECE)
        except zlib.error:
            raise Damaged(_NO_STREAM) from None
        if len(data) > left or not (data or compressed):
            break
        if data:
            left -= len(data)
            yield data
    if left or not stream.eof:
        raise Damaged(f"its data does not have the {size} bytes that were announced")
