"""Stdout and stderr taken apart, and what engines say of programs that cannot be run."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.engine.demultiplexer import Demultiplexer
from gitdeploy.engine.diagnosis import program_failure


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">B3xI", stream, len(data)) + data


def streams(pieces: list[tuple[int, bytes]]) -> dict[int, bytes]:
    return {stream: b"".join(data for kind, data in pieces if kind == stream) for stream in (1, 2)}


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40))), st.lists(st.integers(1, 30), min_size=1))
def test_frames_cut_anywhere(written: list[tuple[int, bytes]], sizes: list[int]) -> None:
    whole = b"".join(frame(*piece) for piece in written)
    demultiplexer, pieces, at, turn = Demultiplexer(), [], 0, 0
    while at < len(whole):
        size = sizes[turn % len(sizes)]
        pieces += demultiplexer.feed(whole[at : at + size])
        at, turn = at + size, turn + 1
    assert streams(pieces) == streams(written)
    assert all(data for _, data in pieces)


def test_the_order_of_both_is_kept() -> None:
    whole = frame(1, b"a") + frame(2, b"b") + frame(1, b"c")
    assert Demultiplexer().feed(whole) == [(1, b"a"), (2, b"b"), (1, b"c")]


def test_a_long_piece_comes_in_parts_and_is_not_kept() -> None:
    demultiplexer = Demultiplexer()
    assert demultiplexer.feed(struct.pack(">B3xI", 2, 0xFFFFFFFF) + b"begin") == [(2, b"begin")]
    assert demultiplexer.feed(b"more") == [(2, b"more")]


@pytest.mark.parametrize(("kind", "stream"), [(0, 1), (1, 1), (2, 2), (3, 2), (255, 2)])
def test_what_is_no_stdout_goes_to_stderr(kind: int, stream: int) -> None:
    assert Demultiplexer().feed(frame(kind, b"x")) == [(stream, b"x")]


RUN_20 = "failed to create shim: OCI runtime create failed: container_linux.go:380: starting container process caused: "
RUN_28 = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
RUN_28 += "unable to start container process: error during container init: "
EXEC = "OCI runtime exec failed: exec failed: unable to start container process: "
MISSING = "there is no such program in the image"


@pytest.mark.parametrize("before", [RUN_20, RUN_28, EXEC])
@pytest.mark.parametrize(
    ("words", "reason", "code"),
    [
        ('exec: "nosuch": executable file not found in $PATH: unknown', f"nosuch: {MISSING}", 127),
        ('exec: "nosuch": executable file not found in $PATH', f"nosuch: {MISSING}", 127),
        ('exec: "/no/such": stat /no/such: no such file or directory: unknown', f"/no/such: {MISSING}", 127),
        ('exec: "/etc/passwd": permission denied: unknown', "/etc/passwd: permission denied", 126),
        ('exec: "/etc": stat /etc: is a directory: unknown', "/etc: is a directory", 126),
        ('exec: "/etc": is a directory: unknown', "/etc: is a directory", 126),
        ('exec: "a: b": executable file not found in $PATH: unknown', f"a: b: {MISSING}", 127),
    ],
)
def test_programs_that_cannot_be_run(before: str, words: str, reason: str, code: int) -> None:
    error = program_failure(before + words)
    assert error is not None
    assert (error.reason, error.code) == (reason, code)


@pytest.mark.parametrize(
    "message",
    [
        "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated",
        'chdir to cwd ("/nosuch") set in config.json failed: no such file or directory: unknown',
        'error mounting "/x" to rootfs at "/y": not a directory: unknown',
        "",
    ],
)
def test_other_failures_are_not_of_programs(message: str) -> None:
    assert program_failure(RUN_28 + message) is None
