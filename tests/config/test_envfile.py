"""Env files mean what they mean to `docker run --env-file`, and a mistake in one is explained without its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.config.envfile import env_file_values, parse_env_file
from gitdeploy.errors import StageFailed

PEM = b"KEY=-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n"


def parse(data: bytes) -> dict[str, str]:
    return parse_env_file(data, Path("/e"))


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (
            b"\xef\xbb\xbf# comment\n\nA=1\r\nC='quoted'\nD=\nE=a=b # no comment\n",
            {"A": "1", "C": "'quoted'", "D": "", "E": "a=b # no comment"},
        ),
        (b"A=1", {"A": "1"}),
        (b"  \tA= 1 \n", {"A": " 1 "}),
        (b"1A=x\na.b=y\na-b=z\nA/B=1\n", {"1A": "x", "a.b": "y", "a-b": "z", "A/B": "1"}),
        ("A=one\u2028two\u0085three\u2029\nB=2\n".encode(), {"A": "one\u2028two\u0085three\u2029", "B": "2"}),
        (b"A=one\x0ctwo\x0bthree\x1cfour\nB=2\n", {"A": "one\x0ctwo\x0bthree\x1cfour", "B": "2"}),
        (b"A=one\rtwo\n", {"A": "one\rtwo"}),
        (b"A=1\nA=2\n", {"A": "2"}),
        ("\u00e4=\u00f6\n".encode(), {"\u00e4": "\u00f6"}),
        (b"KEY=-----BEGIN PRIVATE KEY----- in one line\nB=2\n", {"KEY": "-----BEGIN PRIVATE KEY----- in one line", "B": "2"}),
    ],
)
def test_lines_mean_what_docker_takes_them_for(data: bytes, values: dict[str, str]) -> None:
    assert parse(data) == values


@pytest.mark.parametrize(
    ("data", "line", "reason", "hint"),
    [
        (b"A=1\nexport B=hunter2\n", 2, "found the shell's `export`", "no shell reads this file"),
        (b"A=1\nhunter2\n", 2, "found no =", "docker would take the value from its own environment"),
        (b"A = hunter2\n", 1, "a name without spaces", "nothing around the ="),
        (b"=hunter2\n", 1, "a name without spaces", "write NAME=VALUE"),
        (PEM % b"hunter2", 2, "goes on here", "base64 -w0"),
        (PEM % b"hunter2/+==", 2, "goes on here", "base64 -w0"),
        (b"A=1\nB=hunter2\xe4\n", 2, "expected UTF-8", "iconv -f latin1"),
        (b"\xe4=hunter2\n", 1, "expected UTF-8", "iconv"),
        (b"A=hunter2\0\n", 1, "zero byte", "correct that line"),
    ],
)
def test_each_mistake_has_its_own_way_out(data: bytes, line: int, reason: str, hint: str) -> None:
    with pytest.raises(StageFailed) as caught:
        parse(data)
    assert f"env_file: /e, line {line}: " in caught.value.reason
    assert reason in caught.value.reason
    assert hint in caught.value.hint
    assert "hunter2" not in caught.value.reason + caught.value.hint


def test_what_may_be_secret_is_known_before_a_mistake_is() -> None:
    assert env_file_values(b"A=1\nhunter2\n# no\nB=x\xe4\n") == ["1", "hunter2", "x\ufffd"]
