"""Commands, files and logs in containers of a real engine."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

import docker
import pytest

from gitdeploy.engine.client import connect
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.inside import MOST_OUTPUT
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import EngineError, NotFound
from tests.support import tcp_engine
from tests.support.images import BaseImages
from tests.support.net import wait_until


@pytest.fixture(scope="module", params=["unix", "tcp", "tls"])
def engine(request: pytest.FixtureRequest, engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """The engine over each transport."""
    with tcp_engine.connected(request.param, engine_url, tmp_path_factory.mktemp("certificates")) as engine:
        yield engine


@pytest.fixture(scope="module")
def spec(base_images: BaseImages) -> ContainerSpec:
    labels = {"gitdeploy.app": "devops/test-inside"}
    return ContainerSpec("", base_images.busybox, command=("sleep", "600"), labels=labels, env={"GREETING": "hé=llo"})


@pytest.fixture(scope="module")
def container(engine: DockerEngine, spec: ContainerSpec) -> Iterator[str]:
    """A running container with busybox."""
    id = engine.create(replace(spec, name=f"gdtest-{uuid.uuid4().hex[:8]}"))
    engine.start(id)
    yield id
    engine.remove(id, force=True)


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("echo hello", (0, b"hello\n")),
        ("exit 7", (7, b"")),
        ("echo $GREETING; echo oops >&2; exit 1", (1, "hé=llo\noops\n".encode())),
        ("printf '\\000\\377'", (0, b"\0\xff")),
        ("head -c 3000000 /dev/zero", (0, b"\0" * 3_000_000)),
    ],
)
def test_commands(engine: DockerEngine, container: str, script: str, answer: tuple[int, bytes]) -> None:
    code, output = engine.exec(container, ["sh", "-c", script])
    assert (code, b"".join(sorted(output.splitlines(keepends=True)))) == (
        answer[0],
        b"".join(sorted(answer[1].splitlines(True))),
    )


@pytest.mark.parametrize("command", [["sleep", "30"], ["yes"]])
def test_a_command_that_does_not_end_has_a_deadline(engine: DockerEngine, container: str, command: list[str]) -> None:
    began = time.monotonic()
    with pytest.raises(EngineError, match=f"{command[0]} in container {container[:12]} did not end in 0.3 s"):
        engine.exec(container, command, timeout=0.3)
    assert time.monotonic() - began < 5
    engine.exec(container, ["killall", command[0]])


def test_output_beyond_some_megabytes_is_left_out(engine: DockerEngine, container: str) -> None:
    code, output = engine.exec(container, ["head", "-c", str(MOST_OUTPUT + 100_000), "/dev/zero"])
    assert (code, len(output)) == (0, MOST_OUTPUT)


def test_many_short_commands_lose_no_output(engine: DockerEngine, container: str) -> None:
    assert [engine.exec(container, ["echo", str(number)]) for number in range(30)] == [
        (0, f"{number}\n".encode()) for number in range(30)
    ]


def test_a_command_has_no_input(engine: DockerEngine, container: str) -> None:
    assert engine.exec(container, ["wc", "-c"]) == (0, b"0\n")


def test_a_command_that_there_is_not(engine: DockerEngine, container: str) -> None:
    code, output = engine.exec(container, ["no-such-command"])
    assert code in (126, 127)  # engines before 23 say 126
    assert b"no-such-command" in output


def test_files_are_put_into_a_running_container(engine: DockerEngine, container: str) -> None:
    engine.put_files(container, "/tmp", {"one.cfg": b"1\n", "two.cfg": b"2\n"}, 0o640)
    assert engine.exec(container, ["cat", "/tmp/one.cfg", "/tmp/two.cfg"]) == (0, b"1\n2\n")
    assert engine.exec(container, ["stat", "-c", "%a %u:%g", "/tmp/two.cfg"]) == (0, b"640 0:0\n")
    engine.put_files(container, "/tmp", {"one.cfg": b"longer than before\n"})
    assert engine.exec(container, ["cat", "/tmp/one.cfg"]) == (0, b"longer than before\n")


def test_files_are_put_into_a_container_before_its_start(engine: DockerEngine, spec: ContainerSpec) -> None:
    id = engine.create(replace(spec, name=f"gdtest-{uuid.uuid4().hex[:8]}", command=("cat", "/tmp/config")))
    try:
        engine.put_files(id, "/tmp", {"config": b"from outside"})
        engine.start(id)
        assert engine.wait(id, 20) == 0
        assert engine.logs(id, 5) == ["from outside"]
    finally:
        engine.remove(id, force=True)


def test_a_directory_that_there_is_not(engine: DockerEngine, container: str) -> None:
    with pytest.raises(NotFound):
        engine.put_files(container, "/no/such/directory", {"a": b""})


def test_logs_are_followed_to_the_end(engine: DockerEngine, spec: ContainerSpec) -> None:
    script = "trap 'echo >&2 last; sleep 1; exit' USR1; echo first; echo second; echo ready; while :; do sleep 0.05; done"
    id = engine.create(replace(spec, name=f"gdtest-{uuid.uuid4().hex[:8]}", command=("sh", "-c", script)))
    try:
        engine.start(id)
        wait_until(lambda: engine.logs(id, 1) == ["ready"], 20, "it")
        lines = engine.follow(id, 2)
        assert [next(lines), next(lines)] == ["second", "ready"]
        engine.signal(id, "USR1")
        assert list(lines) == ["last"]
        assert list(engine.follow(id, 1)) == ["last"]
    finally:
        engine.remove(id, force=True)
    with pytest.raises(NotFound):
        next(engine.follow(id, 1))


def test_logs_of_any_bytes(engine: DockerEngine, spec: ContainerSpec) -> None:
    script = "printf 'bad \\377 byte\\n'; printf 'long '; head -c 40000 /dev/zero | tr '\\0' x; echo; echo last"
    id = engine.create(replace(spec, name=f"gdtest-{uuid.uuid4().hex[:8]}", command=("sh", "-c", script)))
    try:
        engine.start(id)
        engine.wait(id, 20)
        lines = engine.logs(id, 100)
        assert lines[0] == "bad \ufffd byte"
        assert lines[1] == "long " + "x" * 40000
        assert lines[2:] == ["last"]
        assert engine.logs(id, 1) == ["last"]
    finally:
        engine.remove(id, force=True)


def test_a_stopped_container_runs_no_command(engine: DockerEngine, spec: ContainerSpec) -> None:
    id = engine.create(replace(spec, name=f"gdtest-{uuid.uuid4().hex[:8]}"))
    try:
        with pytest.raises(EngineError, match="not running") as raised:
            engine.exec(id, ["true"])
        assert raised.value.status == 409
    finally:
        engine.remove(id, force=True)


def test_a_stop_outlasts_the_read_timeout(
    engine_url: str, spec: ContainerSpec, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connect({"DOCKER_HOST": engine_url})
    id = engine.create(replace(spec, name=f"gdtest-{uuid.uuid4().hex[:8]}", stop_timeout=2))
    try:
        engine.start(id)
        monkeypatch.setattr(engine._api, "timeout", 1)
        engine.stop(id)  # sleep, as the first process, ignores SIGTERM
        assert docker_client.containers.get(id).status == "exited"
    finally:
        engine.remove(id, force=True)
        engine.close()
