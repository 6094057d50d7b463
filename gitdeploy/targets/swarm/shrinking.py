"""Services that give way: brought to no tasks so that they can come back, and removed with their secrets."""

from __future__ import annotations

from dataclasses import replace

from gitdeploy.config.model import App
from gitdeploy.engine.cluster import Cluster, ClusterService
from gitdeploy.engine.types import Credentials
from gitdeploy.releases.release import APP, RELEASE, label_number, process_of
from gitdeploy.targets.swarm.readiness import TaskWaiter
from gitdeploy.targets.swarm.services import ENTRY, WANTED, look, version_of_service

PLACING = 5.0
"""Seconds for a task to get to its machine."""

ENDING = 60.0
"""Seconds for machines to end a task, beyond the time that it has itself."""


def stand_aside(
    cluster: Cluster, service: ClusterService | None, credentials: Credentials, waiter: TaskWaiter, grace: float = 3600.0
) -> None:
    """Bring a service to no tasks and wait until they have ended; how many there were is on its label. Raises StageFailed."""
    if service is None:
        return
    if service.replicas:
        cluster.label_service(service.id, {WANTED: str(service.replicas)})
        cluster.resize_service(service.id, 0, credentials)
    waiter.await_end(service.id, grace + ENDING)


def put_back(
    cluster: Cluster, service: ClusterService | None, credentials: Credentials, waiter: TaskWaiter, patience: float = 300.0
) -> None:
    """Bring a service back to the tasks that it had, and wait until they run. Raises StageFailed."""
    now = cluster.service(service.id) if service else None
    if now is None:
        return
    wanted = label_number(now.labels, WANTED)
    known = frozenset(task.id for task in cluster.tasks([now.id]) if not task.running)
    if wanted:
        cluster.resize_service(now.id, wanted, credentials)
        cluster.label_service(now.id, {WANTED: ""})
    back = replace(waiter, whose=version_of_service(now))
    back.wait(now.id, wanted or now.replicas, patience, known=known)


def end_release(cluster: Cluster, app: App, name: str, credentials: Credentials, waiter: TaskWaiter) -> None:
    """End a release's tasks. Its service is to be removed once another one has got the machine's port.

    Engine 20.10 never gives a port again that a removed service still held, or a task that was taken back on its way to its
    machine, and leaves the next task pending, without a word.
    """
    if service := cluster.service(name):
        waiter.await_placed(service.id, PLACING)
        cluster.resize_service(service.id, 0, credentials)
        waiter.await_end(service.id, app.stop_timeout + ENDING)


def remove_release(cluster: Cluster, app: App, name: str) -> None:
    """Remove a release's service by its name, if there is one, and secrets without a service. Raises EngineError."""
    service = cluster.service(name)
    if service and service.labels.get(APP) == app.name:
        cluster.remove_service(service.id)
    drop_secrets(cluster, app)


def drop_secrets(cluster: Cluster, app: App) -> None:
    """Remove the secrets of a process's releases that have no service, or got none. Raises EngineError."""
    used = {label_number(service.labels, RELEASE) for service in look(cluster, app).services}
    for secret in cluster.secrets({APP: app.name}):
        own = process_of(secret.labels) == app.process and ENTRY not in secret.labels
        if own and label_number(secret.labels, RELEASE) not in used:
            cluster.remove_secret(secret.id)
