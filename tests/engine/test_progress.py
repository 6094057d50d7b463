"""What a build says, from its trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.engine import cutting
from gitdeploy.engine.progress import Failure, Progress, Said, VertexState, heading, size
from gitdeploy.engine.trace import Trace, decode
from gitdeploy.terminal.redact import Redactor
from tests.support import traces
from tests.support.traces import log, status, vertex, warning

FROM, RUN, COPY = "sha256:f", "sha256:r", "sha256:c"
A_FROM = "[1/2] FROM docker.io/library/base:1"
A_RUN = "[2/2] RUN make"
DIGEST = "sha256:" + "0123456789abcdef" * 4

TABLE: dict[str, tuple[list[bytes], list[str]]] = {
    "a step that ran": (
        [vertex(RUN, A_RUN, started=5), log(RUN, b"cc a.c\n"), vertex(RUN, A_RUN, started=5, completed=17.34)],
        [f". {A_RUN}", f"~ {A_RUN}", ".     cc a.c", f"{A_RUN} · 12.3 s"],
    ),
    "a step that was cached": (
        [vertex(RUN, A_RUN), vertex(RUN, A_RUN, started=5, completed=5, cached=True)],
        [f"{A_RUN} · CACHED"],
    ),
    "a step with nothing to say": ([vertex(RUN, A_RUN, started=5, completed=5.04)], [f"{A_RUN} · 0.0 s"]),
    "a step that failed": (
        [
            vertex(RUN, A_RUN, started=5),
            log(RUN, b"no such file"),
            vertex(RUN, A_RUN, started=5, completed=6, error='process "make" did not complete successfully: exit code: 2'),
        ],
        [f". {A_RUN}", f"~ {A_RUN}", ".     no such file", f"{A_RUN} · failed after 1.0 s"],
    ),
    "a step that was cancelled": (
        [vertex(RUN, A_RUN, started=5), vertex(RUN, A_RUN, started=5, completed=6, error="context canceled")],
        [f". {A_RUN}", f"~ {A_RUN}", f"{A_RUN} · cancelled"],
    ),
    "steps that no Dockerfile names": (
        [
            vertex(RUN, "[internal] load metadata for base:1", started=1, completed=2),
            vertex(COPY, "copy /context /", started=2),
        ],
        [". [internal] load metadata for base:1 · 1.0 s", ". copy /context /"],
    ),
    "a failure of a step that no Dockerfile names": (
        [vertex(RUN, "[internal] load metadata for base:1", started=1, completed=2, error="denied")],
        ["[internal] load metadata for base:1 · failed after 1.0 s"],
    ),
    "a base image that is looked up, downloaded and unpacked, as 28.5 reports it": (
        [
            vertex(FROM, A_FROM, started=0, completed=0),
            vertex(FROM, A_FROM, started=1),
            status(FROM, DIGEST, 20_000_000, 31_000_000),
            status(FROM, DIGEST, 31_000_000, 31_000_000),
            vertex(FROM, A_FROM, started=1, completed=1.25),
            vertex(FROM, A_FROM, started=1.3),
            vertex(FROM, A_FROM, started=1.3, completed=1.55),
        ],
        [
            f". {A_FROM}",
            f"~ {A_FROM}",
            f"~ {A_FROM}: 20.0 MB of 31.0 MB",
            f"~ {A_FROM}: 31.0 MB of 31.0 MB",
            f"{A_FROM} · 0.2 s, 31.0 MB",
            f". {A_FROM}",
            f"~ {A_FROM}",
        ],
    ),
    "a step that goes on for long after its end was told": (
        [vertex(FROM, A_FROM, started=0, completed=1), vertex(FROM, A_FROM, started=2, completed=4)],
        [f"{A_FROM} · 1.0 s", f"{A_FROM} · 3.0 s"],
    ),
    "a base image that is at hand is told when the next step starts": (
        [
            vertex(FROM, A_FROM, started=0, completed=0),
            vertex(FROM, A_FROM, started=0, completed=0, cached=True),
            vertex(RUN, A_RUN, started=1),
        ],
        [f"{A_FROM} · CACHED", f". {A_RUN}", f"~ {A_RUN}"],
    ),
    "two steps that speak in turn": (
        [
            vertex(RUN, "[a] RUN one", started=0),
            vertex(COPY, "[b] RUN two", started=0),
            log(RUN, b"1\n"),
            log(COPY, b"2\n"),
            log(COPY, b"3\n"),
            log(RUN, b"4\n"),
        ],
        [
            *(". [a] RUN one", "~ [a] RUN one", ". [b] RUN two", "~ [b] RUN two"),
            *(". [a] RUN one", ".     1", ". [b] RUN two", ".     2", ".     3", ". [a] RUN one", ".     4"),
        ],
    ),
    "everything in one message: output comes before the end": (
        [vertex(RUN, A_RUN, started=0) + vertex(RUN, A_RUN, started=0, completed=1) + log(RUN, b"hi\n")],
        [f". {A_RUN}", ".     hi", f"~ {A_RUN}", f"{A_RUN} · 1.0 s"],
    ),
    "output of a step that is named later": (
        [log(RUN, b"hi\n"), vertex(RUN, A_RUN, started=0, completed=1)],
        [". (unnamed step)", ".     hi", f"{A_RUN} · 1.0 s"],
    ),
    "progress of what is no download": (
        [vertex(RUN, A_RUN), status(RUN, "extracting", 1, 2), status(RUN, DIGEST, 1, 0), status("sha256:?", DIGEST, 1, 2)],
        [],
    ),
    "a warning": ([warning(RUN, "JSONArgsRecommended: use JSON")], [". warning: JSONArgsRecommended: use JSON"]),
    "a step that ends before it starts": ([vertex(RUN, A_RUN, started=9, completed=5)], [f"{A_RUN} · 0.0 s"]),
    "an end without a start": ([vertex(RUN, A_RUN, completed=5)], [f"{A_RUN} · 0.0 s"]),
}


def said(events: list[Said | VertexState]) -> list[str]:
    """Events as short text: "." before a detail, "~" before a state."""
    return [f"~ {e.text}" if isinstance(e, VertexState) else f". {e.text}" if e.detail else e.text for e in events]


def feed(progress: Progress, *messages: bytes) -> list[str]:
    return [text for message in messages for text in said(progress.feed(decode(message)))]


@pytest.mark.parametrize("case", TABLE)
def test_what_is_said(case: str) -> None:
    messages, expected = TABLE[case]
    assert feed(Progress(), *messages) == expected


def test_states_have_the_step_as_their_key() -> None:
    assert VertexState(RUN, A_RUN) in Progress().feed(decode(vertex(RUN, A_RUN, started=1)))


def test_what_is_left_is_said_in_the_end() -> None:
    progress = Progress()
    feed(progress, vertex(FROM, A_FROM, started=0, completed=0), log(RUN, b"no newline"))
    assert said(progress.finish()) == [". (unnamed step)", ".     no newline", f"{A_FROM} · 0.0 s"]
    assert progress.finish() == []


def test_the_failure_has_the_last_20_lines() -> None:
    progress = Progress()
    output = b"".join(b"line %d\n" % number for number in range(1, 31))
    feed(progress, vertex(RUN, A_RUN, started=0), log(RUN, output + b"and the rest"))
    feed(progress, vertex(RUN, A_RUN, started=0, completed=1, error="exit code: 1"))
    tail = (*(f"line {number}" for number in range(12, 31)), "and the rest")
    assert progress.failure() == Failure(A_RUN, "exit code: 1", tail)


def test_the_failure_is_the_step_that_failed_and_not_one_that_was_stopped_for_it() -> None:
    progress = Progress()
    feed(progress, vertex(FROM, "[a] RUN sleep", started=0, completed=1, error="rpc error: context canceled"))
    feed(progress, vertex(RUN, A_RUN, started=0, completed=1, error="exit code: 1"))
    assert progress.failure() == Failure(A_RUN, "exit code: 1", ())


def test_without_an_error_there_is_no_failure() -> None:
    progress = Progress()
    feed(progress, vertex(RUN, A_RUN, started=0, completed=1))
    assert progress.failure() is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("[2/2] RUN make", "[2/2] RUN make"),
        ("[2/2] RUN a &&\n\t  b", "[2/2] RUN a && b"),
        (f"[1/2] FROM base@{DIGEST}", "[1/2] FROM base@sha256:0123456789ab"),
        ("x" * 200, "x" * 159 + "…"),
    ],
)
def test_headings(name: str, expected: str) -> None:
    assert heading(name) == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0.0 kB"), (895, "0.9 kB"), (31_074_099, "31.1 MB"), (2_100_000_000, "2100.0 MB")]
)
def test_sizes(count: int, expected: str) -> None:
    assert size(count) == expected


digests = st.sampled_from(["sha256:a", "sha256:b", ""])
times = st.none() | st.floats(-1e6, 1e12, allow_nan=False)
messages = st.one_of(
    st.builds(
        lambda digest, name, started, completed, cached, error: vertex(
            digest, name, started=started, completed=completed, cached=cached, error=error
        ),
        *(
            digests,
            st.text(max_size=10),
            times,
            times,
            st.booleans(),
            st.sampled_from(["", "exit code: 1", "context canceled"]),
        ),
    ),
    st.builds(status, digests, st.sampled_from([DIGEST, "other"]), st.integers(-5, 2**62), st.integers(-5, 2**62)),
    st.builds(log, digests, st.binary(max_size=30)),
    st.builds(warning, digests, st.text(max_size=10)),
)


@given(st.lists(messages, max_size=30))
def test_no_order_of_messages_is_too_strange(sent: list[bytes]) -> None:
    progress = Progress()
    events = [event for message in sent for event in progress.feed(decode(message))] + progress.finish()
    assert all("\n" not in event.text for event in events)
    progress.failure()


@given(st.lists(st.binary(max_size=30)))
def test_all_output_is_said(pieces: list[bytes]) -> None:
    progress = Progress()
    events = [
        event for piece in pieces for event in progress.feed(Trace(logs=decode(log(RUN, piece)).logs))
    ] + progress.finish()
    printed = [event.text[4:] for event in events if event.text.startswith("    ")]
    text = b"".join(pieces)
    expected = text.split(b"\n") if text and not text.endswith(b"\n") else text.split(b"\n")[:-1]
    assert len(printed) == len(expected)
    assert [line for line in printed if line] == [
        shown for line in expected if (shown := line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "backslashreplace"))
    ]


def test_a_trace_without_content_says_nothing() -> None:
    assert feed(Progress(), b"", traces.field(99, b"later")) == []


def test_no_part_of_a_secret_is_left_where_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    hide = Redactor()
    hide.add(["correct  horse-battery"])
    monkeypatch.setattr(cutting, "_hide", hide)
    assert "horse" not in hide(heading("[2/3] RUN echo correct  horse-battery"))  # short, and its blanks become one
    for before in range(100, 170):
        assert "horse" not in hide(heading(f"{'x' * before}correct  horse-battery {'y' * 100}"))
    for before in (1985, 1999, 2010):
        error = f"{'x' * before}correct  horse-battery{'y' * 9000}correct  horse-battery{'z' * before}"
        shown = hide(cutting.shortened(error))
        assert len(shown) <= cutting.LONGEST_REASON + 3
        assert not any(part in shown for part in ("corr", "rect", "horse", "batt", "tery"))
    assert "horse" not in hide(cutting.beginning(f"{'x' * 190}correct  horse-battery{'y' * 90}", 200))
