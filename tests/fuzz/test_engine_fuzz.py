"""Whatever stands in a Dockerfile or comes out of a build: no traceback, and time and memory in proportion to its length.

A hundred random examples of each; tests/run --exhaustive takes thousands.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.formats import IMAGE_WITH_TAG
from gitdeploy.config.imagereference import image_key, registry, split
from gitdeploy.config.imagereference import parse as parse_reference
from gitdeploy.config.model import App
from gitdeploy.config.problems import BadValue
from gitdeploy.engine import trace
from gitdeploy.engine.classic import Steps
from gitdeploy.engine.cutting import LONGEST_REASON
from gitdeploy.engine.diagnosis import container_failure, registry_failure
from gitdeploy.engine.directives import frontends, syntax_image
from gitdeploy.engine.dockerfile import base_images, beyond_classic, parse
from gitdeploy.engine.dockervariables import LONGEST as LONGEST_VALUE
from gitdeploy.engine.dockervariables import MOST, Variables
from gitdeploy.engine.lines import LONGEST, Lines
from gitdeploy.engine.messages import LONGEST as LONGEST_MESSAGE
from gitdeploy.engine.messages import decoded, failure, lines, refusal
from gitdeploy.engine.progress import Failure, Progress
from gitdeploy.engine.protobuf import Malformed, field
from gitdeploy.engine.solveanswer import SolveAnswer, failed
from gitdeploy.errors import BuildFailed, EngineError, StageFailed
from gitdeploy.pipeline.buildguard import check_base, check_frontends
from tests.support import traces
from tests.support.recorder import Recorder

ME = App("o/me", image="o/me", container="me")
SOON = 8.0
"""Seconds of processor time for a megabyte of anything; what is quadratic takes minutes."""

WORDS = [
    *(
        "FROM ",
        "ARG ",
        "COPY --from=",
        "RUN --mount=from=",
        "ONBUILD ",
        "RUN <<EOF",
        "EOF",
        "# syntax=",
        "// syntax=",
        "# escape=`",
    ),
    *(
        "docker/dockerfile",
        "{",
        "}",
        '"',
        "'",
        "\\",
        "`",
        "$",
        "${",
        "a",
        "A",
        "=",
        ":-",
        "-",
        "+",
        " ",
        "\t",
        "\n",
        "\r",
        "\n",
        " AS ",
    ),
    *("\ufeff", "#!", "\x0b", "\x85", "\u2028", "\0", "scratch", "@sha256:", "TARGETARCH", "0"),
]
DOCKERFILES = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=60).map("".join)


@given(DOCKERFILES, st.dictionaries(st.sampled_from(["A", "a", "TARGETARCH"]), st.text(max_size=50)))
def test_dockerfiles(text: str, args: dict[str, str]) -> None:
    with suppress(BuildFailed):  # odd blanks, and flags beyond ASCII
        images = base_images(text, args)
        assert all(0 < instruction.line <= text.count("\n") + 1 for instruction in parse(text))
        for image in images:
            assert image
            assert len(image) <= max(LONGEST_VALUE, len(text))
            check_base(image, {}, ME, [])
        list(beyond_classic(text, args))


@given(DOCKERFILES)
def test_no_frontend_is_taken_that_was_not_looked_at(text: str) -> None:
    """What `# syntax=` names, by BuildKit's own rules, is among what is checked."""
    named = syntax_image(text)
    found = list(frontends(text))
    assert not named or named in [image for _, image in found]
    try:
        check_frontends(text, ME)
    except StageFailed:
        return
    assert all(image_key(image) == "docker.io/docker/dockerfile" for _, image in found)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(alphabet="abc${}:-+'\"\\x", max_size=40)), max_size=200))
def test_values_of_variables_stay_short(settings: list[tuple[str, str]]) -> None:
    variables = Variables()
    total = 0
    for name, text in settings:
        value = variables.expand(text)
        variables.set(name, value)
        assert value is None or len(value) <= LONGEST_VALUE
        total += len(value or "") if "$" in text else 0
    assert total <= MOST


MESSAGES = st.recursive(
    st.binary(max_size=30)
    | st.builds(
        traces.vertex, st.sampled_from("ab"), st.text(max_size=20), started=st.none() | st.floats(0, 1e9), error=st.text()
    )
    | st.builds(traces.status, st.sampled_from("ab"), st.just("sha256:x"), st.integers(-9, 9), st.integers(-9, 9))
    | st.builds(traces.log, st.sampled_from("abc"), st.binary(max_size=50)),
    lambda inner: st.lists(inner, max_size=4).map(b"".join) | st.builds(field, st.integers(1, 8), inner),
    max_leaves=10,
)


@given(st.lists(MESSAGES, max_size=10))
def test_traces(messages: list[bytes]) -> None:
    progress = Progress()
    for message in messages:
        try:
            progress.feed(trace.decode(message))
        except Malformed:
            continue
    progress.finish()
    ended = progress.failure()
    assert ended is None or all(len(line) <= 4 * LONGEST for line in ended.tail)


@given(st.lists(MESSAGES.map(lambda data: base64.b64encode(data).decode()) | st.text(max_size=20), max_size=10))
def test_answers(parts: list[str]) -> None:
    answer = SolveAnswer(Recorder())
    for part in parts:
        answer.take({"id": "moby.buildkit.trace", "aux": part})
        answer.new_bases()
    answer.finish()


@given(st.binary(max_size=300))
def test_messages(data: bytes) -> None:
    for line in lines(data[i : i + 7] for i in range(0, len(data), 7)):
        try:
            failure(decoded(line))
        except EngineError:
            continue
    assert b"".join(lines([data])).replace(b"\n", b"") == b"".join(part for part in data.split(b"\n") if part.strip())
    refusal(data)


@given(st.lists(st.text(max_size=40) | st.sampled_from(["Step 1/2 : FROM x\n", " ---> Running in ", "\x1b[91m"]), max_size=30))
def test_the_classic_builders_words(texts: list[str]) -> None:
    steps = Steps(lambda: 0.0)
    for text in texts:
        steps.feed(text)
    steps.finish(failed=True)


REFERENCES = st.text(alphabet="abAB0.:/@_-[] \n$sha256", max_size=60) | st.from_regex(
    r"[a-z.:0-9]+/[a-z/]+:[a-z@:]+", fullmatch=True
)


@given(REFERENCES)
def test_references(text: str) -> None:
    repository, tag = split(text)
    assert text.startswith(repository)
    registry(text)
    try:
        image = IMAGE_WITH_TAG.parse(text)
    except BadValue:
        return
    found = parse_reference(image)
    assert found and found.repository == repository
    assert image_key(image_key(repository)) == image_key(repository)
    assert tag


def quickly(action: Callable[[], object]) -> None:
    began = time.process_time()
    action()
    assert time.process_time() - began < SOON


LONG = [
    *("x" * 1_000_000, '"' * 1_000_000, "bind for :1 " * 80_000, " " * 1_000_000, "a: " * 300_000, "http://" * 140_000),
    *("sha256:" * 140_000, "\n" * 200_000, "listen tcp " * 90_000, "\r" * 1_000_000, "[" * 1_000_000),
]


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_what_a_step_prints_or_is_called(text: str) -> None:
    step = Failure("[1/1] RUN x", text, ())

    def every_use() -> None:
        reason = failure({"errorDetail": {"message": f"process {text} did not complete successfully: exit code: 7"}})
        assert len(reason) <= LONGEST_REASON + 3
        assert failed(reason, step, lambda host: None).reason.endswith("failed with exit code 7")
        failed(reason, Failure(f"[1/1] FROM {text}"[:160], text, ()), lambda host: None)
        registry_failure(reason, "a:1", "")
        container_failure(EngineError(refusal(json.dumps({"message": text}).encode()), 500))
        progress = Progress()
        for _ in range(3):
            progress.feed(trace.decode(traces.vertex("a", text, started=1.0, error=text) + traces.log("a", text.encode())))
        progress.finish()
        steps = Steps(lambda: 0.0)
        steps.feed(text)
        steps.feed(f"Step 1/1 : {text}\n")

    quickly(every_use)


def test_a_line_of_a_hundred_megabytes() -> None:
    piece = b"x" * 65_536

    def feed() -> None:
        output = Lines()
        longest = max(len(line) for _ in range(1600) for line in output.feed(piece))
        assert longest <= LONGEST
        assert sum(map(len, Lines().feed(piece * 256))) >= len(piece) * 255

    quickly(feed)


def test_a_message_that_never_ends() -> None:
    def read() -> None:
        with pytest.raises(EngineError, match="more than 16 MiB"):
            list(lines(b"x" * 65_536 for _ in range(LONGEST_MESSAGE // 65_536 + 1)))
        assert len(list(lines(b"x" * 65_535 + b"\n" for _ in range(1600)))) == 1600

    quickly(read)


def test_an_image_of_a_hundred_thousand_layers() -> None:
    progress = Progress()
    progress.feed(trace.decode(traces.vertex("a", "[1/1] FROM x", started=1.0)))
    told = b"".join(traces.status("a", f"sha256:{n}", 1, 2) for n in range(30_000))
    quickly(lambda: [progress.feed(trace.decode(told)) for _ in range(3)])


def test_json_that_is_nested_without_end() -> None:
    with pytest.raises(EngineError, match="something else than JSON"):
        decoded(b'{"a":' * 100_000)
    assert refusal(b"[" * 100_000) == "[" * 1999 + "…"


def test_images_without_number() -> None:
    with pytest.raises(BuildFailed, match="expected at most 200 images"):
        base_images("".join(f"FROM a{n}\n" for n in range(300)), {})
