"""Tar headers against Python's own tarfile."""

from __future__ import annotations

import io
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.source import tar

names = st.binary(min_size=1, max_size=600).filter(lambda b: b"\0" not in b and not b.endswith(b"/"))


def theirs(name: bytes, kind: bytes, mode: int, size: int = 0, link: bytes = b"") -> bytes:
    info = tarfile.TarInfo(os.fsdecode(name))
    info.type, info.mode, info.size, info.linkname = kind, mode, size, os.fsdecode(link)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


@given(names, st.integers(0, 8**11 - 1), st.booleans())
def test_file_header_is_that_of_tarfile(name: bytes, size: int, executable: bool) -> None:
    expected = theirs(name, tarfile.REGTYPE, 0o755 if executable else 0o644, size)
    assert without_long_mode(expected) == without_long_mode(tar.file(name, size, executable=executable))


@given(names, names)
def test_symlink_header_is_that_of_tarfile(name: bytes, target: bytes) -> None:
    ours = read(tar.symlink(name, target))
    assert (name, target) == (os.fsencode(ours.name), os.fsencode(ours.linkname))
    assert ours.issym()


@given(names)
def test_directory_header(name: bytes) -> None:
    ours = read(tar.directory(name))
    assert ours.isdir()
    assert os.fsencode(ours.name) == name.rstrip(b"/")
    assert ours.mode == 0o755


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 1 << 40])
def test_size_beyond_8_gib(size: int) -> None:
    ours = tarfile.TarInfo.frombuf(tar.file(b"big", size), "utf-8", "surrogateescape")
    assert size == ours.size


def test_nothing_in_a_header_depends_on_the_machine() -> None:
    ours = read(tar.file(b"x", 0))
    assert (ours.mtime, ours.uid, ours.gid, ours.uname, ours.gname) == (0, 0, 0, "", "")


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)])
def test_padding(size: int, expected: int) -> None:
    assert bytes(expected) == tar.padding(size)


def read(header: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(header + tar.END), mode="r:", encoding="utf-8", errors="surrogateescape") as file:
        return file.getmembers()[0]


def without_long_mode(header: bytes) -> bytes:
    """The header without the mode of a long name's entry, and its checksum: tarfile writes 0 there and GNU tar 644."""
    if len(header) == tar.BLOCK:
        return header
    return header[:100] + header[108:148] + header[156:]
