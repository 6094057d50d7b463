"""Clusters of the tests' own, with an app on each."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from gitdeploy.targets.strategies import draining
from tests.support.cluster import SwarmNodes
from tests.support.net import free_port
from tests.targets.docker.rollout.conftest import build_server
from tests.targets.swarm.fleet import ClusterSite

Make = Callable[[], ClusterSite]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to --exhaustive what blue-green and canary only repeat: on a cluster they are rolling with other weights."""
    for item in items:
        name = item.nodeid.rpartition("::")[2]
        if "TestSwarm" in item.nodeid and ("[blue-green]" in name or "[canary]" in name) and "goes_live" not in name:
            item.add_marker(pytest.mark.exhaustive)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a switch the old release stays for less time than it would for people."""
    monkeypatch.setattr(draining, "WATCH", 0.4)
    monkeypatch.setattr(draining, "FOLLOW", 1.2)


def images(swarm: SwarmNodes) -> tuple[str, str]:
    """The app's image, in the cluster's registry and on its manager, and the router's."""
    repository = f"{swarm.registry.host}/gitdeploy-test/rollout"
    with swarm.client() as client:
        if not client.images.list(repository):
            client.images.get(build_server(client, swarm.image("python"))).tag(repository, "1")
            output = client.images.push(repository, "1")
            assert "digest" in output, output
    return f"{repository}:1", swarm.image("haproxy")


@pytest.fixture(scope="session")
def lone_engine(lone_node: SwarmNodes) -> Iterator[Engine]:
    engine = connect({"DOCKER_HOST": lone_node.manager.url})
    yield engine
    engine.close()


@pytest.fixture
def site(lone_node: SwarmNodes, lone_engine: Engine) -> Iterator[ClusterSite]:
    """An app that was never deployed, on a cluster of one machine."""
    site = make_site(lone_node, lone_engine)
    yield site
    site.remove()


@pytest.fixture(scope="session")
def manager_engine(swarm_nodes: SwarmNodes) -> Iterator[Engine]:
    engine = connect({"DOCKER_HOST": swarm_nodes.manager.url})
    yield engine
    engine.close()


@pytest.fixture
def wide(swarm_nodes: SwarmNodes, manager_engine: Engine) -> Iterator[ClusterSite]:
    """The same on a cluster of three machines."""
    site = make_site(swarm_nodes, manager_engine)
    yield site
    swarm_nodes.heal()
    site.remove()


def make_site(swarm: SwarmNodes, engine: Engine) -> ClusterSite:
    """An app that was never deployed, with its image in the registry."""
    image, haproxy = images(swarm)
    return ClusterSite(swarm, engine, image, f"devops/wide-{uuid.uuid4().hex[:8]}", free_port(), haproxy)
