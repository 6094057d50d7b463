"""What a container may take of the box: as the engine has it, asked by the SDK's own client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import docker
import pytest

from gitdeploy.config.runoptions import Run
from gitdeploy.engine import mapping
from gitdeploy.engine.client import connect
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.runmapping import host_settings
from gitdeploy.engine.types import ContainerSpec
from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages
from tests.support.runs import EACH

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


def test_all_options_that_go_together_at_once(
    engine_url: str, docker_client: docker.DockerClient, base_images: BaseImages
) -> None:
    """What `docker inspect` shows, and for some of them what the process inside finds."""
    alone = {"privileged", "pid", "ipc", "gpus", "runtime", "ip6", "command", "entrypoint", "read_only"}
    run = Run(
        **{name: value for name, value in EACH.items() if name not in alone}, read_only=True, command=("sh", "-c", INSIDE)
    )
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="172.30.0.0/16")])
    network = docker_client.networks.create(f"gdtest-{uuid.uuid4().hex[:8]}", ipam=pool)
    engine = connect({"DOCKER_HOST": engine_url})
    spec = ContainerSpec(network.name, base_images.busybox, networks=(network.name,), own_network=network.name, run=run)
    container = engine.create(spec)
    try:
        shown = docker_client.api.inspect_container(container)
        wanted, host = mapping.creation(spec), host_settings(run)
        host["MemorySwap"] = host["MemorySwap"] if docker_client.info()["SwapLimit"] else -1
        assert {key: value for key, value in host.items() if _plain(shown["HostConfig"].get(key)) != _plain(value)} == {}
        for key in ("User", "WorkingDir", "Hostname", "StopSignal", "Cmd"):
            assert shown["Config"][key] == wanted[key]
        assert shown["Config"]["Labels"]["team"] == "shop"
        engine.start(container)
        assert engine.wait(container, 10) == 0, engine.logs(container, 20)
        assert engine.logs(container, 20) == ["1000", "/srv", "web", "100", "10.0.0.5 db", "172.30.0.10", "99", "ro"]
    finally:
        engine.remove(container, force=True)
        network.remove()
        engine.close()


INSIDE = """id -u; pwd; hostname; ulimit -n; awk '$2 == "db" {print $1, $2}' /etc/hosts; awk '$2 == "web" {print $1}' /etc/hosts
cat /proc/sys/net/core/somaxconn; awk '$2 == "/" {print substr($4, 1, 2)}' /proc/mounts"""


def _plain(value: Any) -> Any:
    """Engines differ in the prefix of capabilities."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.removeprefix("CAP_") if isinstance(value, str) else value


ALONE: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({"privileged": True, "pid": "host"}, {"Privileged": True, "PidMode": "host"}),
    ({"ipc": "none", "entrypoint": ("",)}, {"IpcMode": "none"}),
]


@pytest.mark.parametrize(("run", "expected"), ALONE)
def test_options_that_stand_alone(create: Create, run: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    shown = create(**run)
    assert {key: shown[key] for key in expected} == expected


def test_gpus_are_asked_for_as_docker_run_asks(create: Create) -> None:
    (request,) = create(gpus="all")["DeviceRequests"]
    assert (request["Count"], request["DeviceIDs"], request["Capabilities"]) == (-1, None, [["gpu"]])


def test_a_fork_bomb_stays_small(create: Create, docker_client: docker.DockerClient, base_images: BaseImages) -> None:
    """The limit is the kernel's, not a number in an answer: the shell cannot start its children."""
    create(pids_limit=30)  # runc's own threads count while it brings a command into a container: some ten of them
    container = docker_client.containers.list(all=True, limit=1)[0]
    container.start()
    code, output = container.exec_run(["sh", "-c", "for i in $(seq 40); do sleep 5 & done; wait"])
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
