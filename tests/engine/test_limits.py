"""What a container may take of the box: as the engine has it, asked by the SDK's own client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import docker
import pytest

from gitdeploy.config.sections import Run
from gitdeploy.engine.client import connect
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.types import ContainerSpec
from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages

Create = Callable[..., Mapping[str, Any]]


@pytest.fixture
def create(engine_url: str, docker_client: docker.DockerClient, base_images: BaseImages) -> Iterator[Create]:
    """Creates a container; returns what `docker inspect` shows as its HostConfig."""
    engine = connect({"DOCKER_HOST": engine_url})
    made: list[str] = []

    def create(on: DockerEngine | None = None, **run: Any) -> Mapping[str, Any]:
        spec = ContainerSpec(f"gdtest-{uuid.uuid4().hex[:8]}", base_images.busybox, command=("sleep", "600"), run=Run(**run))
        made.append((on or engine).create(spec))
        shown: Mapping[str, Any] = docker_client.api.inspect_container(made[-1])["HostConfig"]
        return shown

    yield create
    for container in made:
        docker_client.api.remove_container(container, force=True)
    engine.close()


def test_what_holds_where_nothing_is_said(create: Create) -> None:
    for _ in range(2):  # the second one is made in one go
        shown = create()
        assert shown["PidsLimit"] == 4096
        assert shown["SecurityOpt"] == ["no-new-privileges"]
        assert (shown["Memory"], shown["NanoCpus"]) == (0, 0)
        assert shown["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}


REACHED = [
    ({"memory": 64 << 20}, {"Memory": 64 << 20}),
    ({"cpus": 0.5}, {"NanoCpus": 500_000_000}),
    ({"pids_limit": 50}, {"PidsLimit": 50}),
    ({"pids_limit": 0}, {"PidsLimit": None}),
    ({"no_new_privileges": False}, {"SecurityOpt": None}),
    ({"log_driver": "local"}, {"LogConfig": {"Type": "local", "Config": {}}}),
    ({"log_driver": "none"}, {"LogConfig": {"Type": "none", "Config": {}}}),
    ({"log_opts": {"max-size": "1m"}}, {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}}),
    (
        {"log_driver": "json-file", "log_opts": {"tag": "x"}},
        {"LogConfig": {"Type": "json-file", "Config": {"tag": "x", "max-size": "10m", "max-file": "3"}}},
    ),
]


@pytest.mark.parametrize(("run", "expected"), REACHED)
def test_each_key_reaches_the_container(create: Create, run: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    shown = create(**run)
    assert {key: shown[key] for key in expected} == expected


def test_a_fork_bomb_stays_small(create: Create, docker_client: docker.DockerClient, base_images: BaseImages) -> None:
    """The limit is the kernel's, not a number in an answer: the shell cannot start its children."""
    create(pids_limit=5)
    container = docker_client.containers.list(all=True, limit=1)[0]
    container.start()
    code, output = container.exec_run(["sh", "-c", "for i in 1 2 3 4 5 6; do sleep 5 & done; wait"])
    assert b"can't fork" in output, (code, output)


LOGS = [
    ({"log-opts": {"max-size": "50m"}}, {"Type": "json-file", "Config": {"max-size": "50m"}}),
    ({"log-opts": {"max-size": "50m", "max-file": "9"}}, {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "9"}}),
    ({"log-driver": "local"}, {"Type": "local", "Config": {}}),
]


@pytest.mark.parametrize(("daemon", "expected"), LOGS)
def test_what_the_engines_own_configuration_says_of_logs_stays(
    private_engine: PrivateEngine, create: Create, daemon: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    private_engine.stop()
    private_engine.configure(**daemon)
    private_engine.start()
    engine = connect({"DOCKER_HOST": private_engine.url})
    try:
        assert create(on=engine)["LogConfig"] == expected
        assert create(on=engine)["LogConfig"] == expected
    finally:
        engine.close()
        private_engine.stop()
        private_engine.configure()
        private_engine.start()
