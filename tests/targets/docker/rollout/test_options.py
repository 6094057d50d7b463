"""Options of `docker run` through whole deployments: tried before anything is stopped, and the same on the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import docker
import pytest

from gitdeploy.config.runoptions import Run
from gitdeploy.errors import EngineError, StageFailed
from tests.support.net import get
from tests.targets.docker.rollout.site import Site


@pytest.fixture
def recreated(site: Site) -> Site:
    """The app with release 1 live, without a router."""
    site.configure(strategy="recreate")
    site.deploy("1")
    return site


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"devices": ("/dev/no-such-device",)}, "run.devices"),
    ({"user": "nobody-knows-me"}, "run.user"),
    ({"gpus": "all"}, "run.gpus"),
    ({"sysctls": {"net.ipv4.no_such_setting": "1"}}, "run.sysctls"),
    ({"cpuset": "0-4000"}, "run.cpuset"),
    ({"cap_add": ("NO_SUCH_CAPABILITY",)}, "run.cap_add"),
    ({"runtime": "no-such-runtime"}, "run.runtime"),
]


def test_what_the_engine_cannot_start_is_refused_before_anything_is_stopped(recreated: Site) -> None:
    (before,) = recreated.containers()
    for run, key in REFUSED:
        recreated.configure(run=Run(**run))
        with pytest.raises(EngineError) as refused:
            recreated.deploy("2")
        assert key in refused.value.hint, (run, refused.value.reason)
        (after,) = recreated.engine.containers({"gitdeploy.app": recreated.app.name})
        assert (after.id, after.started, after.running) == (before.id, before.started, True)
    assert get(recreated.url) == "1"


def test_what_can_start_is_tried_and_then_deployed(recreated: Site, docker_client: docker.DockerClient) -> None:
    recreated.configure(run=Run(ulimits={"nofile": (512, 512)}, init=True, devices=("/dev/zero:/dev/nil",)))
    recreated.deploy("2")
    assert get(recreated.url) == "2"
    assert recreated.names() == {recreated.app.container: "running"}
    _, output = recreated.engine.exec(recreated.app.container, ["sh", "-c", "ulimit -n; ls /dev/nil"])
    assert output.decode().split() == ["512", "/dev/nil"]


@pytest.fixture
def subnet(recreated: Site, docker_client: docker.DockerClient) -> Iterator[str]:
    """The app on a network with addresses to choose from."""
    pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet="10.231.7.0/24")])
    network = docker_client.networks.create(f"{recreated.app.container}-own", ipam=pool)
    recreated.configure(networks=(network.name,))
    yield network.name
    for container in recreated.containers():
        recreated.engine.remove(container.id, force=True)
    network.remove()


def test_an_address_of_its_own(recreated: Site, subnet: str, docker_client: docker.DockerClient) -> None:
    site = recreated
    run = Run(ip="10.231.7.50", mac_address="02:42:0a:e7:07:32", network_aliases=("www",))
    site.configure(run=run, health=replace(site.app.health, start_period=1.0, retries=1))
    site.deploy("2")
    site.deploy("3")
    with pytest.raises(StageFailed):
        site.deploy("4", EXIT="1")  # the old one comes back at its address
    shown = docker_client.api.inspect_container(site.app.container)["NetworkSettings"]["Networks"][subnet]
    assert (shown["IPAddress"], shown["MacAddress"]) == ("10.231.7.50", "02:42:0a:e7:07:32")
    assert {"www", site.app.container} <= set(shown["Aliases"])
    assert get(site.url) == "3"
    site.configure(run=replace(run, ip="10.9.9.9"))
    with pytest.raises(EngineError, match=r"run.ip: 10.9.9.9 is in no subnet of the network \S+ \(10.231.7.0/24\)"):
        site.deploy("5")
