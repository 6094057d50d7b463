"""What a test makes in a Swarm, and how it is taken away again."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import docker

from gitdeploy.config.runoptions import Run
from gitdeploy.engine.client import connect
from gitdeploy.engine.cluster import Cluster, ServiceSpec, ServiceTask
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.errors import EngineError
from tests.support.cluster import SwarmNodes
from tests.support.net import wait_until

OWN = "gitdeploy.test"
SLEEP = Run(command=("sleep", "600"), stop_signal="SIGKILL")
PATIENCE = 40


def nobody(host: str) -> None:
    """Credentials for nobody."""


@dataclass
class Place:
    """A Swarm, and what a test makes there, all bearing the label `OWN` = `run`."""

    swarm: SwarmNodes
    engine: DockerEngine
    cluster: Cluster
    client: docker.DockerClient
    run: str
    count: Iterator[int]

    def name(self) -> str:
        return f"{self.run}-{next(self.count)}"

    def spec(self, **fields: Any) -> ServiceSpec:
        """A service that sleeps, unless `run` or `image` say otherwise."""
        plain = ServiceSpec(self.name(), fields.get("image") or self.swarm.image("busybox"), run=SLEEP, labels={OWN: self.run})
        return replace(plain, **fields)

    def service(self, **fields: Any) -> str:
        """Its id, once all of its tasks run."""
        spec = self.spec(**fields)
        service = self.cluster.create_service(spec, nobody)
        self.await_running(service, spec.replicas)
        return service

    def await_running(self, service: str, count: int) -> list[ServiceTask]:
        try:
            wait_until(lambda: len(self.running(service)) == count, PATIENCE, f"{count} tasks of {service}")
        except TimeoutError as error:
            error.add_note("\n".join(f"{task.state}: {task.error}" for task in self.cluster.tasks([service])))
            raise
        return self.running(service)

    def running(self, service: str) -> list[ServiceTask]:
        return [task for task in self.cluster.tasks([service]) if task.running]

    def await_task(self, service: str, condition: Callable[[ServiceTask], bool]) -> ServiceTask:
        wait_until(lambda: any(map(condition, self.cluster.tasks([service]))), PATIENCE, f"such a task of {service}")
        return next(task for task in self.cluster.tasks([service]) if condition(task))

    def container(self, task: ServiceTask) -> dict[str, Any]:
        """What the first node's engine says of a task's container."""
        found: dict[str, Any] = self.client.api.inspect_container(task.container)
        return found

    def exec(self, task: ServiceTask, *command: str) -> str:
        code, output = self.engine.exec(task.container, command)
        assert code == 0, output
        return output.decode()

    def clean_up(self) -> None:
        services = [service.id for service in self.cluster.services({OWN: self.run})]
        for service in services:
            self.cluster.remove_service(service)
        wait_until(lambda: not self.cluster.tasks(services), PATIENCE, "the end of all tasks")
        for secret in self.cluster.secrets({OWN: self.run}):
            assert self.cluster.remove_secret(secret.id)
        wait_until(self._swept, PATIENCE, "the end of networks and volumes")

    def _swept(self) -> bool:
        """Removes networks and volumes; a container of a task that is no more may still use them."""
        try:
            for network in self.engine.networks({OWN: self.run}):
                self.engine.remove_network(network)
            for volume in self.client.volumes.list(filters={"name": self.run}):
                volume.remove()
        except (EngineError, docker.errors.APIError):
            return False
        return True


@contextmanager
def place_in(swarm: SwarmNodes) -> Iterator[Place]:
    engine = connect({"DOCKER_HOST": swarm.manager.url})
    with swarm.client() as client:
        place = Place(swarm, engine, engine.cluster(), client, f"gdtest-{uuid.uuid4().hex[:8]}", itertools.count(1))
        yield place
        place.clean_up()
    engine.close()
