"""The engine's JSON, also when it is not JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.engine.messages import decoded, failure, refusal
from gitdeploy.errors import EngineError


def test_a_message_is_an_object() -> None:
    assert decoded(b'{"stream":"a\\n"}\r') == {"stream": "a\n"}


@pytest.mark.parametrize("line", [b"", b"<html>", b"[1]", b"null", b"\xff", b'{"a":'])
def test_anything_else_is_an_error_that_shows_it(line: bytes) -> None:
    with pytest.raises(EngineError) as caught:
        decoded(line)
    assert caught.value.reason == f"the engine sent something else than JSON: {line!r}"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, ""),
        ({"status": "ok"}, ""),
        ({"error": "short"}, "short"),
        ({"error": "short", "errorDetail": {"message": "long"}}, "long"),
        ({"error": "short", "errorDetail": {"code": 1}}, "short"),
        ({"error": "short", "errorDetail": "odd"}, "short"),
        ({"errorDetail": {"message": "long"}}, "long"),
        ({"error": 5}, "5"),
    ],
)
def test_failures_in_messages(message: dict[str, object], expected: str) -> None:
    assert failure(message) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"message":"no such image"}\n', "no such image"),
        (b"Bad Gateway\n", "Bad Gateway"),
        (b"[]", "[]"),
        (b"{}", "{}"),
        (b"", ""),
    ],
)
def test_refusals(body: bytes, expected: str) -> None:
    assert refusal(body) == expected


@given(st.binary())
def test_no_body_is_too_strange(body: bytes) -> None:
    assert len(refusal(body)) <= 2000
