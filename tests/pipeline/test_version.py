"""read_version: what a person may write into VERSION, and what the error says when it will not do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.errors import StageFailed
from gitdeploy.pipeline.version import TAG, read_version


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"1.0.0", "1.0.0"),
        (b"1.0.0\n", "1.0.0"),
        (b"1.0.0\r\n", "1.0.0"),
        (b"\xef\xbb\xbf1.0.0\r\n", "1.0.0"),
        (b"  v2 \t\n", "v2"),
        (b"0.0.2\nsecond line\xff\n", "0.0.2"),
        (b"_x-1.Y", "_x-1.Y"),
        (b"a" * 128, "a" * 128),
    ],
)
def test_first_line_trimmed(data: bytes, expected: str) -> None:
    assert expected == read_version(data)


@pytest.mark.parametrize(
    ("data", "reason", "hint"),
    [
        (None, "no file VERSION", "1.0.0"),
        (b"", "VERSION is empty", "1.0.0"),
        (b" \n\n", "VERSION is empty", "1.0.0"),
        (b"\xef\xbb\xbf", "first line of VERSION is empty", "1.0.0"),
        (b"\n1.0.0\n", "first line of VERSION is empty", "1.0.0"),
        (b"\x7fELF\x02\x01\x80\xff", "no text", "1.0.0"),
        (b"\x00\x01\x02", r"'\x00\x01\x02'", "1.0.0"),
        ("1.0.0\r\n".encode("utf-16"), "UTF-16", "Set-Content"),
        (b"1.0.0+build", "'1.0.0+build'", "write 1.0.0-build into VERSION"),
        (b"../x", "'../x'", "write x into VERSION"),
        (b"-x", "'-x'", "write x into VERSION"),
        (b".1", "'.1'", "write 1 into VERSION"),
        (b"1.0 beta", "'1.0 beta'", "write 1.0-beta into VERSION"),
        (b"1.0;rm -rf /", "'1.0;rm -rf /'", "write 1.0-rm--rf into VERSION"),
        (b"a" * 129, "129 characters", "1.0.0"),
        (b"a" * 10_000_000, "10,000,000 characters", "1.0.0"),
        ("версия".encode(), "'версия'", "1.0.0"),
        (b"\x1b[31m1.0", r"'\x1b[31m1.0'", "write 31m1.0 into VERSION"),
    ],
)
def test_error_names_file_finding_and_fix(data: bytes | None, reason: str, hint: str) -> None:
    with pytest.raises(StageFailed) as caught:
        read_version(data)
    assert "VERSION" in caught.value.reason
    assert reason in caught.value.reason
    assert hint in caught.value.hint
    assert len(caught.value.reason) < 300


@given(st.binary(max_size=200))
def test_any_bytes_give_a_tag_or_an_error(data: bytes) -> None:
    try:
        version = read_version(data)
    except StageFailed as error:
        assert error.reason.isprintable() and error.hint
    else:
        assert TAG.fullmatch(version)
