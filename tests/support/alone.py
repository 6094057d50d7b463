"""An engine that is in no cluster, as a fake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from gitdeploy.engine.cluster import Cluster, ClusterService, Membership
from gitdeploy.errors import NoManager


class Alone:
    """All that such an engine answers."""

    def services(self, labels: Mapping[str, str]) -> list[ClusterService]:
        raise NoManager("This node is not a swarm manager.", 503)

    def membership(self) -> Membership:
        return Membership(active=False, manager=False)


class InNoCluster:
    """The part of such an engine about clusters."""

    def manages_cluster(self) -> bool:
        return False

    def cluster(self, patience: float = 0.0) -> Cluster:
        return cast(Cluster, Alone())
