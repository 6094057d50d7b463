"""A Docker Engine is a target as the others are."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.targets.contract import Place, TargetContract
from tests.targets.docker.rollout.place import place_of
from tests.targets.docker.rollout.site import Site


@pytest.fixture
def place(site: Site, docker_client: docker.DockerClient) -> Iterator[Place]:
    """An app that was never deployed."""
    with place_of(site, docker_client) as place:
        yield place


class TestDocker(TargetContract):
    """On a real engine."""
