"""An app on a real cluster, deployed release by release as the worker would."""

from __future__ import annotations

from dataclasses import replace

from gitdeploy.config.runoptions import Run
from gitdeploy.engine.cluster import Cluster, ClusterService, ServiceTask
from gitdeploy.engine.protocol import Engine
from gitdeploy.releases.release import APP, VERSION, label_number
from gitdeploy.targets.swarm.services import LIVE
from tests.support.cluster import SwarmNodes
from tests.support.targets import target_on
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.site import Site


class ClusterSite(Site):
    """The same app as on a single engine, as services.

    Attributes:
        swarm: where it runs.
        cluster: the same, as gitdeploy sees it.
    """

    def __init__(self, swarm: SwarmNodes, engine: Engine, image: str, name: str, port: int, router_image: str) -> None:
        super().__init__(engine, image, name, port, router_image)
        self.swarm = swarm
        self.cluster: Cluster = engine.cluster()
        new_privileges = Run(no_new_privileges=False)  # 20.10 has it by daemon.json alone
        self.app = replace(self.app, target="swarm", image=image.rpartition(":")[0], run=new_privileges)
        self.first = self.app

    @property
    def url(self) -> str:
        return f"http://{self.swarm.manager.address}:{self.port}/"

    def services(self) -> list[ClusterService]:
        """What the app has on the cluster, newest first."""
        return self.cluster.services({APP: self.app.name})

    def load(self) -> Load:
        """Clients of its router; a request may wait for a machine that is gone."""
        return Load(self.port, host=self.swarm.manager.address, patience=30.0)

    def live(self) -> list[str]:
        """The versions that its services have, and of each whether it went live."""
        return [f"{s.labels[VERSION]}{'' if label_number(s.labels, LIVE) else ' never live'}" for s in self.services()]

    def condition(self) -> str:
        """What gitdeploy says is wrong with it."""
        return target_on(self.engine).condition(self.app)

    def tasks(self) -> list[ServiceTask]:
        """All that the cluster remembers of its services."""
        return self.cluster.tasks([service.id for service in self.services()])

    def where(self) -> list[str]:
        """The machines on which its tasks run, one for each task."""
        names = {node.id: node.name for node in self.cluster.nodes() if node.ready}
        return sorted(names[task.node] for task in self.tasks() if task.running and task.node in names)

    def started(self, machine: str) -> list[str]:
        """The ids of tasks that run on a machine."""
        (node,) = (node for node in self.cluster.nodes() if node.name == machine)
        return [task.id for task in self.tasks() if task.running and task.node == node.id]

    def remove(self) -> None:
        """Removes all that it has, whatever state it is in."""
        for service in self.services():
            self.cluster.remove_service(service.id)
        for container in self.engine.containers({APP: self.app.name}):
            self.engine.remove(container.id, force=True)
        for secret in self.cluster.secrets({APP: self.app.name}):
            self.cluster.remove_secret(secret.id)
