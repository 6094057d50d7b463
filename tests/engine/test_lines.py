"""Output cut into lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.engine import cutting
from gitdeploy.engine.lines import LEFT_OUT, LONGEST, MARGIN, Lines
from gitdeploy.terminal.redact import Redactor


def collect(*pieces: bytes) -> list[str]:
    lines = Lines()
    return [line for piece in pieces for line in lines.feed(piece)] + lines.rest()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((), []),
        ((b"",), []),
        ((b"one\ntwo\n",), ["one", "two"]),
        ((b"o", b"ne", b"\n", b"tw", b"o"), ["one", "two"]),
        ((b"\n\n",), ["", ""]),
        ((b"end of line\r\n",), ["end of line"]),
        ((b" 10%\r 50%", b"\r100%\n"), ["100%"]),
        ((b"caf\xc3", b"\xa9\n"), ["café"]),
        ((b"\xff\xfe is not UTF-8\n",), [r"\xff\xfe is not UTF-8"]),
    ],
)
def test_lines(pieces: tuple[bytes, ...], expected: list[str]) -> None:
    assert collect(*pieces) == expected


@pytest.mark.parametrize("piece", [1, 4096, 1_000_000])
def test_a_line_of_a_megabyte_comes_whole_in_parts(piece: int) -> None:
    text = "1234567é" * 111_112
    data = text.encode()
    lines = collect(*(data[i : i + piece] for i in range(0, len(data), piece)), b"\nnext\n")
    assert "".join(lines[:-1]) == text
    assert lines[-1] == "next"
    assert max(len(line.encode()) for line in lines) <= LONGEST


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), min_size=1), st.data())
def test_where_the_pieces_are_cut_does_not_matter(lines: list[str], data: st.DataObject) -> None:
    whole = "\n".join(lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert collect(*pieces) == (lines if lines[-1] else lines[:-1])


@pytest.mark.parametrize("length", [7, 100, 3000, MARGIN // 2])
@pytest.mark.parametrize("before", [0, 1, 6, 50, 2999])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_long_line_is_not_broken_in_a_secret(length: int, before: int, end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "".join(chr(ord("a") + number % 23) for number in range(length))
    hide = Redactor()
    hide.add([secret])
    monkeypatch.setattr(cutting, "_hide", hide)
    data = b"X" * (LONGEST - before) + secret.encode() + b"X" * 2 * LONGEST + end
    for piece in (1000, len(data)):
        lines = collect(*(data[i : i + piece] for i in range(0, len(data), piece)))
        assert "".join(map(hide, lines)) == hide(data.decode().strip())
        assert max(map(len, lines)) <= LONGEST


def test_a_long_line_without_a_safe_place_to_break_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    hide = Redactor()
    hide.add(["X" * 20])
    monkeypatch.setattr(cutting, "_hide", hide)
    lines = Lines()
    fed = [line for _ in range(1000) for line in lines.feed(b"X" * 1000)]
    assert fed == [LEFT_OUT]
    assert len(lines._rest) <= LONGEST + MARGIN
    assert lines.feed(b"X\nnext\n") == ["next"]
    assert lines.rest() == []
