"""What requests meet on their way through the router, and what the router does when containers move."""

from __future__ import annotations

import http.client
import shutil
import time
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from gitdeploy.config.sections import Health
from gitdeploy.targets.router.container import network_name
from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages, shared_libraries
from tests.support.net import get, wait_until
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.conftest import build
from tests.targets.docker.rollout.site import Site, answers


def test_the_client_is_known_and_events_come_at_once(site: Site) -> None:
    site.deploy("1")
    address = get(f"{site.url}from")
    assert address.count(".") == 3
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    first = answer.readline()
    while_open = time.monotonic()
    rest = answer.read()
    assert first == b"data: 0\n"
    assert b"data: 2\n" in rest
    assert time.monotonic() - while_open > 0.2  # the others were not there yet
    connection.close()


def test_large_headers_and_bodies_pass(site: Site) -> None:
    site.deploy("1")
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.request("GET", "/", headers={f"X-{number}": "x" * 2000 for number in range(12)})
    assert connection.getresponse().status == 200
    connection.close()


def test_http_checks_take_a_replica_out_that_fails_them(site: Site) -> None:
    """Several replicas are asked as the deployment asks, with its headers."""
    health = Health(path="/host/app.example", headers={"Host": "app.example"}, start_period=10.0, interval=0.1)
    site.configure(replicas=2, strategy="rolling", health=health)
    site.deploy("1")
    with Load(site.port) as load:
        site.deploy("2")
    assert load.lost == {}


def test_tcp_with_the_proxy_protocol(site: Site, docker_client: docker.DockerClient) -> None:
    site.configure(router=replace(site.app.router, mode="tcp", proxy_protocol=True))
    site.deploy("1", PROXY="1")
    with Load(site.port) as load:
        site.deploy("2", PROXY="1")
    assert set(load.lost) <= {
        "keep-alive 1",
        "keep-alive 2",
        "slow",
    }  # a TCP connection cannot change its server: it is drained
    assert load.findings.failed == 0
    assert get(site.url) == "2"
    assert "PROXY TCP4 " in docker_client.containers.get(site.app.container).logs().decode()


def test_a_container_whose_address_changed_is_found_again(site: Site, docker_client: docker.DockerClient) -> None:
    site.deploy("1")
    network = docker_client.networks.get(network_name(site.app))
    container = docker_client.containers.get(site.app.container)
    before = site.containers()[0].addresses[network_name(site.app)]
    container.stop(timeout=0)
    squatter = docker_client.containers.create(site.image, labels={"gitdeploy.app": site.app.name}, network=network.name)
    squatter.start()
    container.start()
    after = site.containers()
    moved = next(c for c in after if c.name == site.app.container).addresses[network_name(site.app)]
    assert moved != before
    wait_until(lambda: answers(site.url, "1"), 20, "the container at its new address")
    squatter.remove(force=True)
    site.deploy("2")
    assert get(site.url) == "2"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_all_is_there_again_after_the_engine_was_restarted(site: Site, private_engine: PrivateEngine, how: str) -> None:
    """In order, or by kill -9; containers start again in any order and with other addresses."""
    site.configure(replicas=2, strategy="rolling", restart="unless-stopped" if how == "stop" else "always")
    site.deploy("1")
    private_engine.stop() if how == "stop" else private_engine.kill()
    private_engine.start()
    wait_until(lambda: answers(site.url, "1"), 30, "the app after a restart of the engine")
    with Load(site.port) as load:
        site.deploy("2")
    assert load.lost == {}
    assert get(site.url) == "2"


def test_the_router_knows_after_a_restart_what_it_was_told_last(site: Site, docker_client: docker.DockerClient) -> None:
    for version in ("1", "2"):
        site.deploy(version)
    docker_client.containers.get(site.router().name).restart(timeout=0)
    wait_until(lambda: answers(site.url, "2"), 10, "the router after a restart")


def test_a_router_image_with_bash_and_without_nc(
    site: Site, docker_client: docker.DockerClient, base_images: BaseImages
) -> None:
    """As the official image of Debian."""
    bash = Path(shutil.which("bash") or "/bin/bash")
    libraries = {str(path): path for path in shared_libraries(bash)}
    copies = "".join(f"COPY {path} {path}\n" for path in libraries)
    dockerfile = f"FROM {base_images.haproxy}\nUSER root\n{copies}COPY bash /bin/bash\nRUN rm /bin/nc\nUSER haproxy\n"
    image = build(docker_client, dockerfile, {"bash": bash, **libraries}, "gitdeploy-test/bash:1")
    site.configure(router=replace(site.app.router, image=image))
    site.deploy("1")
    site.deploy("2")
    assert get(site.url) == "2"
    site.engine.remove(site.router().id, force=True)
    docker_client.images.remove(image)
