"""What both builders promise, on a real engine."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Generator, Iterator, Sequence

import pytest

from gitdeploy.engine.builds import choose
from gitdeploy.engine.contexts import FileEntry
from gitdeploy.errors import BuildFailed, Cancelled, RegistryError, StageFailed
from tests.support.builder import Builder, MemoryContext, MemoryFiles, archive, pieces, running, set_when
from tests.support.net import free_port
from tests.support.registry import Registry


def unique() -> str:
    """Something that no cache knows."""
    return uuid.uuid4().hex


def wrong(host: str) -> tuple[str, str]:
    return ("pusher", "wrong")


@pytest.mark.parametrize(
    ("wanted", "has_buildkit", "chosen"),
    [
        ("auto", True, "buildkit"),
        ("auto", False, "classic"),
        ("buildkit", True, "buildkit"),
        ("buildkit", False, "buildkit"),
        ("classic", True, "classic"),
        ("classic", False, "classic"),
    ],
)
def test_the_builder_is_chosen_by_config_and_engine_alone(wanted: str, has_buildkit: bool, chosen: str) -> None:
    assert choose(wanted, has_buildkit) == chosen  # type: ignore[arg-type]


def test_an_image_is_built_labelled_and_tagged(builder: Builder) -> None:
    other = f"{builder.tag}.1"
    built = builder.good(
        "FROM BASE\nCOPY data /app/data\nRUN cat /app/data | tr a-z A-Z > /app/more\n",
        {"data": "hello\n"},
        tags=(builder.tag, other),
        labels={"org.opencontainers.image.version": "1.0", "note": 'a "quoted" $VALUE ü'},
    )
    assert builder.sh(built, "cat /app/data /app/more") == "hello\nHELLO\n"
    image = builder.engine.image(builder.tag)
    assert image is not None
    assert image == builder.engine.image(built.image) == builder.engine.image(other)
    assert image.labels["org.opencontainers.image.version"] == "1.0"
    assert image.labels["note"] == 'a "quoted" $VALUE ü'
    assert set(image.tags) == {builder.tag, other}
    builder.engine.remove_image(other)


def test_steps_are_told_with_their_output_and_again_when_cached(builder: Builder) -> None:
    dockerfile = f"FROM BASE\nRUN echo out {unique()} && echo err >&2\n"
    first = builder.good(dockerfile)
    assert any(line.startswith("[2/2] RUN echo out") and line.endswith(" s") for line in first.output.short)
    assert "err" in first.text.splitlines()
    assert not any(line.strip() == "err" for line in first.output.short)
    second = builder.good(dockerfile)
    assert any(line.startswith("[2/2] RUN echo out") and line.endswith("· CACHED") for line in second.output.short)
    assert "err" not in second.text.splitlines()
    third = builder.good(dockerfile, no_cache=True)
    assert "err" in third.text.splitlines()
    assert first.image == second.image


def test_build_arguments_reach_the_build(builder: Builder) -> None:
    dockerfile = "ARG IMAGE=none\nFROM $IMAGE\nARG VALUE=default\nARG OTHER=default\nRUN echo $VALUE $OTHER > /value\n"
    built = builder.good(dockerfile, args={"VALUE": 'a "b" & ü', "IMAGE": builder.base})
    assert builder.sh(built, "cat /value") == 'a "b" & ü default\n'


def test_a_stage_can_be_the_target(builder: Builder) -> None:
    dockerfile = "FROM BASE AS one\nRUN echo one > /stage\nFROM BASE AS two\nRUN false\n"
    assert builder.sh(builder.good(dockerfile, target="one"), "cat /stage") == "one\n"


def test_the_dockerfile_may_have_any_name_and_place(builder: Builder) -> None:
    built = builder.good("FROM BASE\nCOPY . /all\n", {"a": "1"}, dockerfile="deploy/Dockerfile ü.prod")
    assert builder.sh(built, "cd /all && find . -type f | sort") == "./a\n./deploy/Dockerfile ü.prod\n"


def test_a_failing_step_is_named_with_its_last_20_lines(builder: Builder) -> None:
    failed = builder.run(f"FROM BASE\nRUN echo {unique()}; seq 1 30; printf 'no newline'; exit 3\n")
    assert isinstance(failed.failure, BuildFailed)
    assert failed.failure.reason.startswith("[2/2] RUN echo ")
    assert failed.failure.reason.endswith("failed with exit code 3")
    assert failed.failure.tail == (*map(str, range(12, 31)), "no newline")
    assert any("· failed after" in line for line in failed.output.short)
    assert builder.engine.image(builder.tag) is None


@pytest.mark.parametrize(
    ("dockerfile", "reason"),
    [
        ("FROM BASE\nRNU echo\n", "unknown instruction: RNU"),
        ("", "file with no instructions|cannot be empty"),
        ("FROM BASE\nCOPY missing /\n", "missing"),
        ("RUN echo\n", "no build stage in current context"),
    ],
)
def test_a_bad_dockerfile_is_a_clear_error(builder: Builder, dockerfile: str, reason: str) -> None:
    failed = builder.run(dockerfile)
    assert isinstance(failed.failure, BuildFailed)
    with pytest.raises(BuildFailed, match=reason):
        raise failed.failure


def test_a_private_base_image_is_pulled_with_the_login(builder: Builder, registry_auth: Registry) -> None:
    image = f"{registry_auth.host}/private-{unique()[:8]}:1"
    builder.engine.tag(builder.base, image)
    asked: list[str] = []

    def login(host: str) -> tuple[str, str]:
        asked.append(host)
        return (registry_auth.user, registry_auth.password)

    builder.client.images.push(image, auth_config={"username": registry_auth.user, "password": registry_auth.password})
    builder.engine.remove_image(image)
    refused = builder.run(f"FROM {image}\n", credentials=wrong)
    assert isinstance(refused.failure, RegistryError)
    assert not refused.failure.transient
    assert 'check the password of "pusher"' in refused.failure.hint
    anonymous = builder.run(f"FROM {image}\n")
    assert isinstance(anonymous.failure, RegistryError)
    assert not anonymous.failure.transient
    assert "docker login" in anonymous.failure.hint
    built = builder.good(f"FROM {image}\nRUN echo {unique()}\n", credentials=login)
    assert set(asked) == {registry_auth.host}
    assert registry_auth.password not in built.text + refused.text + refused.failure.reason
    builder.engine.remove_image(image)


def test_a_registry_that_does_not_answer_may_answer_later(builder: Builder) -> None:
    failed = builder.run(f"FROM 127.0.0.1:{free_port()}/none:1\n")
    assert isinstance(failed.failure, RegistryError)
    assert failed.failure.transient
    assert "connection refused" in failed.failure.reason


def test_pull_asks_for_a_newer_base_image(builder: Builder, registry: Registry) -> None:
    image = f"{registry.host}/base-{unique()[:8]}:1"
    for version in ("old", "new"):
        builder.good(f"FROM BASE\nRUN echo {version} > /version\n", tags=(image,))
        builder.client.images.push(image)
    builder.good("FROM BASE\nRUN echo old > /version\n", tags=(image,))
    dockerfile = f"FROM {image}\nRUN cat /version > /seen\n"
    # With the containerd image store, BuildKit asks the registry anyhow.
    asks_anyhow = builder.kind == "buildkit" and builder.engine.info().storage == "overlayfs"
    assert builder.sh(builder.good(dockerfile), "cat /seen") == ("new\n" if asks_anyhow else "old\n")
    assert builder.sh(builder.good(dockerfile, pull=True), "cat /seen") == "new\n"
    builder.engine.remove_image(image)


def test_cancelling_stops_the_step_and_leaves_nothing(builder: Builder) -> None:
    mark = f"{uuid.uuid4().int % 10**8 + 10**8}"
    before = {container.id for container in builder.client.containers.list(all=True)}
    cancel = threading.Event()
    set_when(cancel, lambda: running(mark))
    failed = builder.run(f"FROM BASE\nRUN sleep {mark}\n", cancel=cancel)
    assert isinstance(failed.failure, Cancelled)
    assert not running(mark)
    assert {container.id for container in builder.client.containers.list(all=True)} == before
    assert {thread.name for thread in threading.enumerate()} & {"session", "sender", "transfer", "watch"} == set()
    assert builder.engine.image(builder.tag) is None


def test_cancelling_stops_an_endless_upload(builder: Builder) -> None:
    class Endless(MemoryContext):
        """Files without an end, in its stream as well as in its list."""

        def tar(self, *, hide: bool = False) -> Iterator[bytes]:
            yield archive({"Dockerfile": self.content}, end=False)
            for number in itertools.count():
                yield archive({f"file{number}": b"x" * 100_000}, end=False)

        def files_for(self, *patterns: object) -> EndlessFiles:  # type: ignore[override]
            return EndlessFiles(self.files)

    class EndlessFiles(MemoryFiles):
        def entries(self) -> Generator[FileEntry]:
            for number in itertools.count():
                yield 0o100644, b"%012d" % number, 100_000, 1, b""

        def contents(self, numbers: Sequence[int]) -> Generator[tuple[int, bytes]]:
            for number in numbers:
                yield number, b"x" * 100_000
                yield number, b""

    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    failed = builder.run("", context=Endless({"Dockerfile": "FROM scratch\nCOPY . /\n"}), cancel=cancel)
    assert isinstance(failed.failure, Cancelled)
    assert failed.seconds < 3


def test_a_wish_to_cancel_that_was_there_first_is_kept(builder: Builder) -> None:
    cancel = threading.Event()
    cancel.set()
    assert isinstance(builder.run(f"FROM BASE\nRUN sleep 5; echo {unique()}\n", cancel=cancel).failure, Cancelled)


def test_a_build_that_takes_too_long_is_ended(builder: Builder) -> None:
    mark = f"{uuid.uuid4().int % 10**8 + 10**8}"
    failed = builder.run(f"FROM BASE\nRUN echo begun; sleep {mark}\n", timeout=1.5)
    assert isinstance(failed.failure, BuildFailed)
    assert failed.failure.reason == f"the build was not done within 1.5 s; it was at [2/2] RUN echo begun; sleep {mark}"
    assert failed.failure.tail == ("begun",)
    assert not running(mark)


def test_a_silent_step_may_last_longer_than_the_read_timeout(builder: Builder) -> None:
    builder.engine._api.timeout = 1
    builder.good(f"FROM BASE\nRUN sleep 2.5; echo {unique()}\n")


def test_what_the_context_raises_comes_out_and_nothing_is_built(builder: Builder) -> None:
    class Broken(MemoryContext):
        """Files of which one ends in the middle."""

        def tar(self, *, hide: bool = False) -> Iterator[bytes]:
            yield from pieces(archive(self.given)[:-20_000])
            raise StageFailed("object 1234 is missing")

        def files_for(self, *patterns: object) -> BrokenFiles:  # type: ignore[override]
            return BrokenFiles(self.files)

    class BrokenFiles(MemoryFiles):
        def contents(self, numbers: Sequence[int]) -> Generator[tuple[int, bytes]]:
            for number, piece in super().contents(numbers):
                yield number, piece[:200_000]
                if piece[200_000:]:
                    raise StageFailed("object 1234 is missing")

    files = {"Dockerfile": f"FROM {builder.base}\nCOPY . /\n", "a": b"x" * 300_000}
    failed = builder.run("", context=Broken(files))
    assert isinstance(failed.failure, StageFailed)
    assert failed.failure.reason == "object 1234 is missing"
    assert builder.engine.image(builder.tag) is None


def test_ten_thousand_lines_in_a_second_all_arrive(builder: Builder) -> None:
    built = builder.good("FROM BASE\nRUN seq 1 10000\n", no_cache=True)
    assert [line.strip() for line in built.output.lines if line.strip().isdigit()] == [str(n) for n in range(1, 10_001)]


def test_odd_output_is_shown_as_it_is(builder: Builder) -> None:
    script = r"printf '\033[31mred\033[0m \377\376 10%%\r 100%%\n\ttab \303\274\n\n'"
    built = builder.good(f"FROM BASE\nRUN {script}\n", no_cache=True)
    lines = [line[4:] for line in built.output.lines if line.startswith("    ")]
    assert lines == [" 100%", "\ttab ü", ""]
