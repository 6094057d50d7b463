"""Loose objects: one file each."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import IO

from gitdeploy.source.inflate import LARGE, PIECE, Content, Damaged, Large, inflate_pieces
from gitdeploy.source.pack import PEEK

KINDS = ("", "commit", "tree", "blob", "tag")

_SIZE = re.compile(b"[0-9]{1,15}")


def read_loose(file: IO[bytes]) -> tuple[int, Content]:
    """Return the kind and content of a loose object; closes its file, at the latest when the content has been read."""
    try:
        stream, kind, size, content = _head(file)
    except Damaged:
        file.close()
        raise
    pieces = _continue(file, content, size - len(content), stream)
    if size > LARGE:
        return kind, Large(size, pieces)
    return kind, b"".join(pieces)


def loose_size(file: IO[bytes]) -> int:
    """Return the bytes of a loose object, from its head. Raises Damaged."""
    return _head(file)[2]


def _head(file: IO[bytes]) -> tuple[zlib._Decompress, int, int, bytes]:
    """Return stream, kind, size and first bytes of a loose object, a zlib stream of "KIND SIZE", a NUL and the content.

    Source: gitformat-loose(5). Raises Damaged.
    """
    stream = zlib.decompressobj()
    try:
        start = stream.decompress(file.read(PEEK), PEEK)
        head, _, content = start.partition(b"\0")
        word, size = head.split(b" ")
        kind = KINDS.index(word.decode())
        if not kind or not _SIZE.fullmatch(size) or int(size) < len(content):
            raise ValueError
    except (zlib.error, ValueError):
        raise Damaged("a loose object without a header") from None
    return stream, kind, int(size), content


def _continue(file: IO[bytes], content: bytes, left: int, stream: zlib._Decompress) -> Iterator[bytes]:
    with file:
        yield content
        yield from inflate_pieces(lambda: file.read(PIECE), left, stream)
