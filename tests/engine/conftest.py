"""Fixtures of builds and of clusters."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from gitdeploy.engine.client import connect
from tests.engine.swarm import Place, place_in
from tests.support.builder import Builder
from tests.support.cluster import SwarmNodes
from tests.support.images import BaseImages


@pytest.fixture
def buildkit(engine_url: str, docker_client: docker.DockerClient, base_images: BaseImages) -> Iterator[Builder]:
    """Builds with BuildKit."""
    engine = connect({"DOCKER_HOST": engine_url})
    builder = Builder(engine, docker_client, base_images.busybox)
    yield builder
    builder.clean_up()
    engine.close()


@pytest.fixture
def classic(buildkit: Builder) -> Builder:
    """Builds with the classic builder."""
    buildkit.kind = "classic"
    return buildkit


@pytest.fixture(params=["buildkit", "classic"])
def builder(buildkit: Builder, request: pytest.FixtureRequest) -> Builder:
    """Builds with each of the two in turn."""
    buildkit.kind = request.param
    return buildkit


@pytest.fixture
def place(lone_node: SwarmNodes) -> Iterator[Place]:
    """A Swarm of one engine."""
    with place_in(lone_node) as made:
        yield made


@pytest.fixture
def three(swarm_nodes: SwarmNodes) -> Iterator[Place]:
    """A Swarm of three machines, which are whole again in the end."""
    with place_in(swarm_nodes) as made:
        yield made
        swarm_nodes.heal()
