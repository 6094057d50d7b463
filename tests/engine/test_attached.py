"""Commands that somebody is attached to, on a real engine over each transport."""

from __future__ import annotations

import select
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import docker
import pytest

from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.protocol import CommandSession
from gitdeploy.engine.types import Attended, ContainerSpec
from gitdeploy.errors import NotRunnable
from gitdeploy.targets.docker.oneoff import running
from tests.support import tcp_engine
from tests.support.images import BaseImages
from tests.support.net import wait_until

LABEL = "gitdeploy.app"
APP = "devops/test-attached"


@pytest.fixture(scope="module", params=["unix", "tcp", "tls"])
def engine(request: pytest.FixtureRequest, engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    """The engine over each transport."""
    with tcp_engine.connected(request.param, engine_url, tmp_path_factory.mktemp("certificates")) as engine:
        yield engine


@pytest.fixture
def spec(base_images: BaseImages, docker_client: docker.DockerClient) -> Iterator[ContainerSpec]:
    """A container for one command; in the end, none is left."""
    name = f"gdtest-{uuid.uuid4().hex[:8]}"
    yield ContainerSpec(name, base_images.busybox, labels={LABEL: APP}, attended=Attended(), stop_timeout=1.0)
    assert docker_client.containers.list(all=True, filters={"label": f"{LABEL}={APP}"}) == []


@contextmanager
def begun(
    how: str, engine: DockerEngine, spec: ContainerSpec, command: list[str], attended: Attended
) -> Iterator[CommandSession]:
    """The command in a container of its own, or in one that runs."""
    if how == "run":
        with running(engine, replace(spec, command=tuple(command), attended=attended)) as session:
            yield session
        return
    container = engine.create(replace(spec, command=("sleep", "600"), attended=None))
    try:
        engine.start(container)
        with engine.exec_attended(container, command, attended) as session:
            yield session
    finally:
        engine.remove(container, force=True)


def followed(session: CommandSession, given: bytes = b"") -> tuple[int | None, bytes, bytes]:
    """Gives input, and reads to the end: exit code, stdout, stderr."""
    said = {1: b"", 2: b""}
    while True:
        select.select([session], [session] if given else [], [], 0.1)
        if given:
            given = given[session.send(given) :]
            if not given:
                session.end_input()
        if select.select([session], [], [], 0)[0]:
            pieces = session.receive()
            if pieces is None:
                return session.exit_code(20), said[1], said[2]
            for stream, data in pieces:
                said[stream] += data


both = pytest.mark.parametrize("how", ["run", "exec"])


@both
def test_output_and_errors_apart_and_the_exit_code(how: str, engine: DockerEngine, spec: ContainerSpec) -> None:
    script = "echo out; echo err >&2; exit 7"
    with begun(how, engine, spec, ["sh", "-c", script], Attended()) as session:
        assert followed(session) == (7, b"out\n", b"err\n")


@both
def test_input_to_its_end(how: str, engine: DockerEngine, spec: ContainerSpec) -> None:
    data = b"0123456789\n" * 30_000
    with begun(how, engine, spec, ["sh", "-c", "cat; echo end"], Attended(interactive=True)) as session:
        assert followed(session, data) == (0, data + b"end\n", b"")


@both
def test_a_terminal_of_a_size(how: str, engine: DockerEngine, spec: ContainerSpec) -> None:
    script = "while read line; do stty size; done; exit 4"
    with begun(how, engine, spec, ["sh", "-c", script], Attended(True, True, (30, 100))) as session:
        for size in ((30, 100), (40, 120)):
            session.resize(*size)
            session.send(b"\n")
            shown = b""
            while b"%d %d\r\n" % size not in shown:
                pieces = session.receive()
                assert pieces, shown
                shown += b"".join(data for _, data in pieces)
        session.send(b"\x04")
        assert session.receive() is None
        assert session.exit_code(20) == 4


@both
@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(("program", "code"), [("no-such-program", 127), ("/no/such", 127), ("/etc/passwd", 126)])
def test_programs_that_cannot_be_run(
    how: str, terminal: bool, program: str, code: int, engine: DockerEngine, spec: ContainerSpec
) -> None:
    wrong = pytest.raises(NotRunnable, match=program)
    with wrong as caught, begun(how, engine, spec, [program, "x"], Attended(terminal, terminal)) as session:
        code_and_output = followed(session)
        assert code_and_output == (None, b"", b"")
    assert caught.value.code == code


@both
@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("code", [126, 127])
def test_a_command_may_say_what_the_engine_says(
    how: str, terminal: bool, code: int, engine: DockerEngine, spec: ContainerSpec
) -> None:
    words = 'OCI runtime exec failed: exec failed: exec: "x": executable file not found in $PATH'
    script = f"echo '{words}'; sleep 0.3; exit {code}"
    with begun(how, engine, spec, ["sh", "-c", script], Attended(terminal, terminal)) as session:
        assert followed(session) == (code, words.encode() + (b"\r\n" if terminal else b"\n"), b"")


def test_nothing_that_a_short_command_says_is_lost(engine: DockerEngine, spec: ContainerSpec) -> None:
    for number in range(5):
        with begun("run", engine, spec, ["echo", str(number)], Attended()) as session:
            assert followed(session) == (0, f"{number}\n".encode(), b"")


def test_signals(engine: DockerEngine, spec: ContainerSpec) -> None:
    script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    with begun("run", engine, spec, ["sh", "-c", script], Attended()) as session:
        assert session.receive() == [(1, b"ready\n")]
        assert session.exit_code(0.0) is None
        assert [c.name for c in engine.containers({LABEL: APP})] == [spec.name]  # which is no step of a build
        assert session.signal("INT")
        assert followed(session) == (3, b"caught\n", b"")
        assert session.signal("INT")  # which has ended


def test_a_command_that_nobody_waits_for_any_more_goes(engine: DockerEngine, spec: ContainerSpec) -> None:
    with pytest.raises(KeyError), begun("run", engine, spec, ["sleep", "600"], Attended()):
        raise KeyError
    assert engine.container(spec.name) is None


def test_one_that_runs_is_followed_from_its_begin_and_never_started_again(engine: DockerEngine, spec: ContainerSpec) -> None:
    script = "echo first; trap 'echo last >&2; exit 4' USR1; echo ready; while :; do sleep 0.05; done"
    container = engine.create(replace(spec, command=("sh", "-c", script), attended=None))
    try:
        with engine.attend(container, Attended()) as session:
            assert session.receive()
        with engine.attend(container, Attended(), replay=True) as session:
            wait_until(lambda: engine.logs(container, 9) == ["first", "ready"], 20, "it")
            engine.signal(container, "USR1")
            assert followed(session) == (4, b"first\nready\n", b"last\n")
        with engine.attend(container, Attended(), replay=True) as session:
            assert session.exit_code(20.0) == 4
        assert engine.logs(container, 9) == ["first", "ready", "last"]
    finally:
        engine.remove(container, force=True)
