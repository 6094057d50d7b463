"""What a container of somebody's was made with is told in the words of `docker run`."""

from __future__ import annotations

import docker
import pytest

from gitdeploy.engine.client import connect
from gitdeploy.engine.madewith import made_with
from tests.support.images import BaseImages


def test_of_a_plain_one_there_is_nothing_to_tell() -> None:
    assert (
        made_with({"Config": {"Env": ["PATH=/bin"]}, "HostConfig": {"ShmSize": 64 << 20}}, {"Config": {"Env": ["PATH=/bin"]}})
        == ()
    )
    assert made_with({}, {}) == ()


@pytest.fixture
def client(docker_client: docker.DockerClient) -> docker.DockerClient:
    return docker_client


def test_a_real_one(client: docker.DockerClient, engine_url: str, base_images: BaseImages) -> None:
    container = client.containers.create(
        base_images.busybox,
        ["sleep", "60"],
        mem_limit="64m",
        nano_cpus=1_500_000_000,
        user="1000",
        environment={"PASSWORD": "hunter2"},
        volumes={"/srv": {"bind": "/data", "mode": "rw"}},
        extra_hosts={"db": "10.0.0.5"},
        tmpfs={"/run": ""},
        cap_add=["NET_ADMIN"],
        read_only=True,
    )
    try:
        engine = connect({"DOCKER_HOST": engine_url})
        found = {given.option: (given.key, given.value) for given in engine.made_with(container.id)}
        engine.close()
    finally:
        container.remove()
    assert found == {
        "--memory 67108864": ("run.memory", 64 << 20),
        "--cpus 1.5": ("run.cpus", 1.5),
        "-v /srv:/data": ("volumes", ["/srv:/data"]),
        "--tmpfs /run": ("run.tmpfs", ["/run"]),
        "-e PASSWORD": ("env", None),
        "--user 1000": ("run.user", "1000"),
        "a command of its own": ("run.command", None),
        "--add-host db:10.0.0.5": ("run.extra_hosts", ["db:10.0.0.5"]),
        "--cap-add NET_ADMIN": ("run.cap_add", ["NET_ADMIN"]),
        "--read-only": ("run.read_only", True),
    }
