"""Whatever an engine sends in a transfer of files: packets or one clear refusal, in time in proportion to its length."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.engine import packets, protobuf
from gitdeploy.engine.filesync import FileTransfer
from gitdeploy.engine.packets import LARGEST, Packet, PacketReader
from gitdeploy.engine.protobuf import Malformed
from gitdeploy.errors import EngineError
from tests.support.builder import MemoryFiles
from tests.support.session_engine import framed

NUMBERS = st.integers(0, (1 << 64) - 1) | st.integers(0, 5)
GOOD = st.builds(lambda number: b"\x08\x01\x18" + protobuf.varint(number), NUMBERS) | st.just(b"\x08\x03")
SAID = st.lists(GOOD | st.binary(max_size=40), max_size=8).map(lambda said: b"".join(map(framed, said)))
ANYTHING = SAID | st.binary(max_size=200) | st.tuples(SAID, st.binary(max_size=20)).map(b"".join)


def read(data: bytes, pieces: int) -> list[Packet] | None:
    """What comes out of bytes that come in such pieces; None if they are refused."""
    reader, found = PacketReader(), []
    try:
        for at in range(0, len(data), pieces):
            found += reader.feed(data[at : at + pieces])
        reader.finish()
    except Malformed:
        return None
    return found


@given(ANYTHING, st.integers(1, 50))
def test_packets_are_the_same_however_they_are_cut(data: bytes, pieces: int) -> None:
    assert read(data, pieces) == read(data, len(data) + 1)


@given(st.lists(ANYTHING, max_size=6))
def test_a_transfer_takes_each_file_once_and_no_other(said: list[bytes]) -> None:
    transfer = FileTransfer(MemoryFiles({b"a": b"1", b"d/b": b"2"}), lambda data: None, lambda transfer: None)
    transfer._offered = bytearray([1, 0, 1])
    for data in said:
        transfer.feed(data)
    assert set(transfer._asked) <= {0, 2}
    assert len(transfer._asked) == len(set(transfer._asked))
    assert transfer.error is None or isinstance(transfer.error, EngineError)


@pytest.mark.parametrize("data", [framed(b"\x08\x03") * 150_000, b"\0\0\0\xff\xff" + b"\xff" * LARGEST, b"\0" * 1_000_000])
def test_a_megabyte_takes_no_long_time(data: bytes) -> None:
    began = time.process_time()
    read(data, 16_384)
    assert time.process_time() - began < 4


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=200)), max_size=20))
def test_what_is_sent_can_be_read_by_its_length(pieces: list[tuple[int, bytes]]) -> None:
    data = b"".join(packets.data(pieces))
    found = []
    while data:
        size = packets.FRAME.unpack_from(data)[1]
        message = protobuf.Message(data[5 : 5 + size])
        found.append((message.number(3), message.data(4)))
        data = data[5 + size :]
    assert found == pieces
