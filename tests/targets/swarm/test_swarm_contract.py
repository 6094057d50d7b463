"""A Swarm is a target as the others are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import SwarmNodes
from tests.targets.contract import Place, TargetContract
from tests.targets.docker.rollout.place import place_of
from tests.targets.swarm.fleet import ClusterSite


@pytest.fixture
def place(site: ClusterSite, lone_node: SwarmNodes) -> Iterator[Place]:
    """An app that was never deployed."""
    with lone_node.client() as client, place_of(site, client) as place:
        yield place


class TestSwarm(TargetContract):
    """On a real cluster."""
