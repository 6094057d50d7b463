"""fsutil's packets, by which BuildKit takes files from its client, each in a frame of gRPC. Pure.

The client lists what it has (STAT, an empty one at the end), the engine asks for the files that it wants by their place in
the list (REQ), the client sends them (DATA, an empty one at the end of each), the engine says that it has all (FIN), and then
so does the client.
Source: github.com/tonistiigi/fsutil, types/wire.proto, types/stat.proto, receive.go; modes are those of Go's io/fs.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from gitdeploy.engine import protobuf
from gitdeploy.engine.contexts import FileEntry
from gitdeploy.engine.protobuf import Malformed, Message
from gitdeploy.errors import EngineError

STAT, REQ, DATA, FIN, ERR = 0, 1, 2, 3, 4

FRAME = struct.Struct(">BI")
"""gRPC's frame: 1 for compressed, which the engine does not do, and the bytes of the message."""

LARGEST = 64 * 1024
"""Bytes of a packet from an engine: real ones are numbers, or the text of an error."""

PIECE = 32 * 1024
"""Bytes of a file in one packet, as the docker command sends them."""

BATCH = 64 * 1024
"""Bytes that are handed on at once, at least."""

GO_DIRECTORY, GO_SYMLINK = 1 << 31, 1 << 27

END_OF_LIST = FRAME.pack(0, 0)
LAST = FRAME.pack(0, 2) + b"\x08\x03"


class Packet(NamedTuple):
    """What an engine says.

    Attributes:
        kind: REQ, FIN or ERR.
        number: of a file, for REQ.
        text: for ERR.
    """

    kind: int
    number: int = 0
    text: str = ""


class OddName(EngineError):
    """A name or a symlink's target that is no text, as strings of Protocol Buffers are."""


def listed(entries: Iterable[FileEntry]) -> Iterator[bytes]:
    """Yield the packets of a list, its end included, many at once. Raises OddName."""
    return _batched(_list(entries))


def _list(entries: Iterable[FileEntry]) -> Iterator[bytes]:
    for mode, path, length, time, target in entries:
        if not (path.isascii() and target.isascii()):
            _require_text(path)
            _require_text(target)
        yield _stat(mode, path, length, time, target)
    yield END_OF_LIST


def _batched(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes, at least BATCH at once, in the end excepted."""
    batch: list[bytes] = []
    size = 0
    for part in parts:
        batch.append(part)
        size += len(part)
        if size >= BATCH:
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)


def _require_text(name: bytes) -> None:
    try:
        name.decode()
    except UnicodeDecodeError:
        raise OddName(f"the name {name.decode('utf-8', 'backslashreplace')[:200]} is no UTF-8") from None


def _stat(mode: int, path: bytes, length: int, time: int, target: bytes) -> bytes:
    """Return the packet of one file; a time of more than 2^40 seconds is one of nanoseconds."""
    link = protobuf.field(7, target) if target else b""
    inner = (
        b"\x0a" + _varint(len(path)) + path + _mode(mode) + (b"\x28" + _varint(length) if length else b"") + _time(time) + link
    )
    size = _varint(len(inner))
    return FRAME.pack(0, 1 + len(size) + len(inner)) + b"\x12" + size + inner


@lru_cache(8)
def _mode(mode: int) -> bytes:
    kind = GO_DIRECTORY if stat.S_ISDIR(mode) else GO_SYMLINK if stat.S_ISLNK(mode) else 0
    return b"\x10" + protobuf.varint(kind | mode & 0o777)


@lru_cache(1000)
def _time(time: int) -> bytes:
    return b"\x30" + protobuf.varint(time if time >> 40 else time * 10**9)


@lru_cache(5000)
def _varint(value: int) -> bytes:
    return protobuf.varint(value)


def data(pieces: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """Yield the packets of files, many at once. Takes number and bytes of each piece, no bytes at the end of a file."""
    return _batched(_data(pieces))


def _data(pieces: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    for number, piece in pieces:
        head = b"\x08\x02" + (b"\x18" + protobuf.varint(number) if number else b"")
        for at in range(0, len(piece), PIECE):
            part = piece[at : at + PIECE]
            inner = b"%b\x22%b" % (head, _varint(len(part)))
            yield FRAME.pack(0, len(inner) + len(part)) + inner
            yield part
        if not piece:
            yield FRAME.pack(0, len(head)) + head


class PacketReader:
    """Takes what an engine sends, in pieces cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[Packet]:
        """Yield the packets that are whole by now. Raises Malformed."""
        buffer, at = self._rest + piece, 0
        while len(buffer) - at >= FRAME.size:
            compressed, size = FRAME.unpack_from(buffer, at)
            if compressed or size > LARGEST:
                raise Malformed("a packet that is compressed or too long")
            if len(buffer) - at - FRAME.size < size:
                break
            at += FRAME.size
            packet = Message(buffer[at : at + size])
            at += size
            kind = packet.number(1)
            if kind not in (REQ, FIN, ERR):
                raise Malformed(f"a packet of type {kind}")
            yield Packet(kind, packet.number(3), packet.text(4) if kind == ERR else "")
        self._rest = buffer[at:]

    def finish(self) -> None:
        """Take that no more comes. Raises Malformed if that is in the middle of a packet."""
        if self._rest:
            raise Malformed("a packet is cut off")
