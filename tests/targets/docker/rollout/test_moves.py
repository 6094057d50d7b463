"""From a container that holds the ports itself to one behind a router, and back; and what changes a router."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.sections import Health
from gitdeploy.errors import StageFailed
from tests.support.net import free_port as find_free_port
from tests.support.net import get, wait_until
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.interposed import Interposed
from tests.targets.docker.rollout.site import Site, answers


@pytest.fixture
def recreated(site: Site) -> Site:
    """The app with release 1 live, without a router; it ignores its stop signal."""
    site.configure(strategy="recreate")
    site.deploy("1", DEAF="1")
    site.configure(strategy="blue-green")
    return site


@pytest.fixture
def foreign(site: Site, docker_client: docker.DockerClient) -> Iterator[Site]:
    """The app with a container of its name that somebody else made, as Jenkins does."""
    docker_client.containers.run(
        site.image,
        name=site.app.container,
        ports={"80/tcp": site.port},
        environment={"VERSION": "jenkins"},
        restart_policy={"Name": "always"},
        detach=True,
    )
    wait_until(lambda: answers(site.url, "jenkins"), 10, "the foreign container")
    yield site
    for name in (site.app.container, f"{site.app.container}.before-gitdeploy"):
        for container in docker_client.containers.list(all=True, filters={"name": name}):
            container.remove(force=True)


def test_to_a_router_and_back(recreated: Site) -> None:
    site = recreated
    with Load(site.port) as load:
        outcome = site.deploy("2")
        assert outcome.outage
        assert "the router takes over the ports" in site.output.text
        assert site.names() == {site.app.container: "running", f"{site.app.container}.router": "running"}
        site.configure(strategy="recreate")
        outcome = site.deploy("3")
        assert outcome.outage
    assert set(load.findings.bodies) == {"1", "2", "3"}
    assert site.names() == {site.app.container: "running"}
    assert site.engine.networks({"gitdeploy.app": site.app.name}) == []
    assert get(site.url) == "3"


def test_connections_that_a_router_keeps_do_not_hold_up_recreate(site: Site) -> None:
    site.configure(stop_timeout=30.0)
    site.deploy("1", LINGER="1")
    for _ in range(5):
        assert get(site.url) == "1"  # the router keeps the connection to the app for the next request
    site.configure(strategy="recreate")
    assert site.deploy("2").outage is not None
    assert "was killed" not in site.output.text


@pytest.mark.exhaustive
@pytest.mark.parametrize("strategy", ["rolling", "canary"])
def test_to_a_router_with_other_strategies(recreated: Site, strategy: str) -> None:
    recreated.configure(strategy=strategy, replicas=2)
    recreated.deploy("2")
    assert get(recreated.url) == "2"
    assert len(recreated.names()) == 3


def test_a_move_that_fails_gives_the_ports_back(recreated: Site) -> None:
    """The old container has not even been stopped."""
    site = recreated
    started = site.containers()[0].started
    engine = Interposed(site.engine)

    def fail(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "start" and arguments[0] in {c.id for c in site.containers("router")}:
            raise StageFailed("no router today")

    engine.before = fail
    site.engine, real = engine, site.engine
    with pytest.raises(StageFailed, match="no router today"):
        site.deploy("2")
    site.engine = real
    assert get(site.url) == "1"
    assert site.containers()[0].started == started
    assert site.names() == {site.app.container: "running"}


def test_a_container_that_somebody_else_made_is_kept(foreign: Site, docker_client: docker.DockerClient) -> None:
    foreign.deploy("2")
    assert get(foreign.url) == "2"
    kept = docker_client.containers.get(f"{foreign.app.container}.before-gitdeploy")
    assert kept.status == "exited"
    assert kept.attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    for container in foreign.engine.containers({"gitdeploy.app": foreign.app.name}):
        foreign.engine.remove(container.id, force=True)
    kept.start()
    wait_until(lambda: answers(foreign.url, "jenkins"), 10, "the way back by hand")


def test_a_container_that_somebody_else_made_serves_on_when_the_new_one_fails(foreign: Site) -> None:
    for strategy in ("recreate", "blue-green"):
        foreign.configure(strategy=strategy)
        with pytest.raises(StageFailed):
            foreign.deploy("2", EXIT="4")
        wait_until(lambda: answers(foreign.url, "jenkins"), 10, "the foreign container")
    assert foreign.names() == {}


def test_another_mode_and_health_check_cost_no_request(site: Site) -> None:
    """HAProxy reads a new configuration at the switch; the old release would not pass the new check."""
    site.configure(replicas=2)
    site.deploy("1", PORTS="80")
    router = site.router()
    with Load(site.port) as load:
        site.configure(health=Health(path="/", port=81, start_period=10.0))
        site.deploy("2", PORTS="80,81")
        site.configure(router=replace(site.app.router, drain_timeout=4.0))
        site.deploy("3", PORTS="80,81")
    assert load.lost == {}
    assert get(site.url) == "3"
    assert (site.router().id, site.router().started) == (router.id, router.started)


def test_a_reload_that_fails_is_undone(live: Site) -> None:
    version = get(live.url)
    live.configure(router=replace(live.app.router, drain_timeout=4.0))
    with Load(live.port) as load, pytest.raises(StageFailed):
        live.deploy("2", CRASH_AFTER="5")
    assert load.findings.errors.total() <= 4
    assert get(live.url) == version
    live.deploy("3")
    assert get(live.url) == "3"


def test_other_ports_make_a_new_router(site: Site) -> None:
    site.deploy("1", PORTS="80")
    old = site.router()
    site.configure(publish=(Publish("", site.port, 81), Publish("127.0.0.1", find_free_port(), 80)))
    outcome = site.deploy("2", PORTS="80,81")
    assert outcome.outage
    assert [get(f"http://127.0.0.1:{port.host_port}/") for port in site.app.publish] == ["2", "2"]
    assert site.router().id != old.id
    assert site.names() == {site.app.container: "running", f"{site.app.container}.router": "running"}


def test_other_ports_that_are_taken_leave_the_old_router(live: Site) -> None:
    version, names = get(live.url), live.names()
    with socket.create_server(("0.0.0.0", 0)) as other:
        live.configure(publish=(*live.app.publish, Publish("", other.getsockname()[1], 81)))
        with pytest.raises(StageFailed, match="already in use"):
            live.deploy("2", PORTS="80,81")
    assert get(live.url) == version
    assert live.names() == names


def test_without_a_router_containers_only_overlap(site: Site) -> None:
    """For the user's own proxy, which finds them by their labels."""
    site.configure(publish=(), router=replace(site.app.router, kind="external", labels={"traefik.enable": "true"}))
    site.deploy("1")
    (first,) = site.containers()
    assert (first.name, first.labels["traefik.enable"], first.publish) == (site.app.container, "true", ())
    site.configure(strategy="rolling", replicas=2)
    site.deploy("2")
    assert len(site.containers()) == 2
    assert site.names()[site.app.container] == "running"
    assert site.containers("router") == []


def test_an_app_that_cannot_overlap_is_told_so(site: Site) -> None:
    site.configure(publish=(Publish("", site.port, 53, "udp"),))
    with pytest.raises(StageFailed, match="HAProxy has no UDP"):
        site.deploy("1")
    site.configure(publish=(Publish("", site.port, 80),), router=replace(site.app.router, kind="external"))
    with pytest.raises(StageFailed, match="cannot both publish"):
        site.deploy("1")
    site.configure(strategy="canary", publish=())
    with pytest.raises(StageFailed, match="needs gitdeploy's own router"):
        site.deploy("1")
    assert site.names() == {}


def test_a_writable_volume_is_warned_of(live: Site, tmp_path: Path) -> None:
    live.configure(volumes=(Volume(str(tmp_path), "/data"), Volume(str(tmp_path), "/other", read_only=True)))
    live.deploy("2")
    assert f"warning: two releases write to {tmp_path}:/data at the same time" in live.output.text
