"""The decoder of BuildKit's trace messages, on what engines send and on what nobody should."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.engine.protobuf import Malformed, field
from gitdeploy.engine.trace import Log, Status, Trace, Vertex, decode
from tests.support import traces

# Docker Engine 28.5.2 on `RUN echo one`: the output, and the end of the step.
OUTPUT = (
    "Gl8KR3NoYTI1Njo3YzAyMGM1NzI3OGIxNmUwZGZhMjE1YWExMmE5NzZkMmIwZmRlYjI4NGJmZmY1MWI4OGMxNjlkMzU5OTM4ZjllEgwI8p+P2AYQ"
    "zY+j9wEYASIEb25lCg=="
)
END = (
    "CsIBCkdzaGEyNTY6N2MwMjBjNTcyNzhiMTZlMGRmYTIxNWFhMTJhOTc2ZDJiMGZkZWIyODRiZmZmNTFiODhjMTY5ZDM1OTkzOGY5ZRJHc2hhMjU2"
    "OmU5MGM5MmMzZGI1ZmE5NzE4YTc1ZmNmMDZhZjExYzAxMjJhMjlhODBlYjhhYzk0NWEzODk1Mjc3NGE4MTU3ZmEaElsyLzJdIFJVTiBlY2hvIG9u"
    "ZSoMCPKfj9gGENeyiaUBMgwI8p+P2AYQv/CbhQI="
)
STEP = "sha256:7c020c57278b16e0dfa215aa12a976d2b0fdeb284bfff51b88c169d359938f9e"

EVERYTHING = (
    traces.vertex("sha256:1", "[1/2] FROM base", started=10.25, completed=11.5, cached=True)
    + traces.vertex("sha256:2", "[2/2] RUN false", started=12, error="exit code: 1")
    + traces.status("sha256:1", "sha256:layer", 19_922_944, 31_074_099)
    + traces.log("sha256:2", b"out\xff\n", stream=2)
    + traces.warning("sha256:2", "JSONArgsRecommended")
)


def test_what_an_engine_sent_is_read() -> None:
    assert decode(base64.b64decode(OUTPUT)) == Trace(logs=(Log(STEP, 1, b"one\n"),))
    (vertex,) = decode(base64.b64decode(END)).vertexes
    assert (vertex.digest, vertex.name, vertex.cached, vertex.error) == (STEP, "[2/2] RUN echo one", False, "")
    assert vertex.started == pytest.approx(1795411954.346184, abs=1e-6)
    assert vertex.completed == pytest.approx(1795411954.5478134, abs=1e-6)


def test_all_kinds_of_messages_are_read() -> None:
    assert decode(EVERYTHING) == Trace(
        vertexes=(
            Vertex("sha256:1", "[1/2] FROM base", cached=True, started=10.25, completed=11.5),
            Vertex("sha256:2", "[2/2] RUN false", started=12.0, error="exit code: 1"),
        ),
        statuses=(Status("sha256:layer", "sha256:1", 19_922_944, 31_074_099),),
        logs=(Log("sha256:2", 2, b"out\xff\n"),),
        warnings=("JSONArgsRecommended",),
    )


def test_nothing_is_an_empty_trace() -> None:
    assert decode(b"") == Trace()


def test_fields_of_later_versions_are_passed_over() -> None:
    later = b"".join(
        [
            field(99, b"new"),
            traces.encoded(98 << 3 | 1) + bytes(8),  # a fixed64
            traces.encoded(97 << 3 | 5) + bytes(4),  # a fixed32
            traces.varint(96, -1),
        ]
    )
    assert decode(later + EVERYTHING + later) == decode(EVERYTHING)


def test_a_field_of_another_type_counts_as_absent() -> None:
    assert decode(field(1, traces.varint(1, 5) + field(3, b"name") + field(4, b"yes"))).vertexes == (Vertex("", "name"),)


def test_negative_numbers_and_times_before_1970_are_read() -> None:
    assert decode(traces.status("v", "i", -5, -6)).statuses == (Status("i", "v", -5, -6),)
    assert decode(traces.vertex("v", "n", started=-1.5)).vertexes[0].started == -1.5


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",  # a length is missing
        b"\x0a\x05abc",  # shorter than it says
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # longer than any memory
        b"\x08" + b"\xff" * 11,  # a number without an end
        b"\x0b\x0c",  # groups, which no newer message has
        b"\x00\x00",  # field number 0
        b"\x0f",  # wire type 7
        field(1, field(5, b"\x08")),  # cut off two levels down
    ],
)
def test_what_is_no_message_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data)


@given(st.integers(0, len(EVERYTHING) - 1))
def test_a_truncated_message_is_malformed_or_the_whole_parts_of_it(length: int) -> None:
    whole = decode(EVERYTHING)
    try:
        part = decode(EVERYTHING[:length])
    except Malformed:
        return
    for found, expected in ((part.vertexes, whole.vertexes), (part.statuses, whole.statuses), (part.logs, whole.logs)):
        assert found == expected[: len(found)]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(decode(data), Trace)


@given(st.integers(0, len(EVERYTHING) - 1), st.integers(0, 255))
def test_a_damaged_message_is_read_or_malformed(position: int, byte: int) -> None:
    damaged = EVERYTHING[:position] + bytes([byte]) + EVERYTHING[position + 1 :]
    with contextlib.suppress(Malformed):
        assert isinstance(decode(damaged), Trace)


texts = st.text(max_size=20)
times = st.none() | st.integers(-(2**40), 2**40).map(float)


@given(texts, texts, times, times, st.booleans(), texts)
def test_what_is_encoded_is_decoded(
    digest: str, name: str, started: float | None, completed: float | None, cached: bool, error: str
) -> None:
    sent = traces.vertex(digest, name, started=started, completed=completed, cached=cached, error=error)
    assert decode(sent) == Trace(vertexes=(Vertex(digest, name, cached, started, completed, error),))
