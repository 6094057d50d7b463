"""Whether the cluster can be asked to change anything, and what an app asks for that it does not have. Mostly pure."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gitdeploy.config.checks import processes
from gitdeploy.config.imagereference import parse
from gitdeploy.config.model import App
from gitdeploy.engine.cluster import Cluster, Membership, Node
from gitdeploy.engine.election import ELECTION, leaderless
from gitdeploy.engine.serviceoptions import unsupported, unsupported_attachments
from gitdeploy.errors import StageFailed
from gitdeploy.targets.router.container import has_router
from gitdeploy.targets.swarm.entryservice import entry_nodes

LOOK = 0.5
"""Seconds between two looks at whether they have."""

LOOPBACK = ("localhost", "127.", "[::1]")

PINS = ("node.hostname", "node.id", "node.ip")
"""Constraints that name one machine."""


def require_quorum(cluster: Cluster) -> list[Node]:
    """Return the machines of a cluster that can decide. Raises StageFailed for one that cannot: nothing was changed.

    One whose managers are about to elect a leader is given the time for that.
    """
    end = time.monotonic() + ELECTION
    while leaderless((membership := cluster.membership()).error) and time.monotonic() < end:
        time.sleep(LOOK)
    reason, hint = membership_problem(membership)
    if not reason:
        nodes = cluster.nodes()
        reason, hint = quorum_problem(nodes)
    if reason:
        raise StageFailed(reason, hint)
    return nodes


def membership_problem(membership: Membership) -> tuple[str, str]:
    """Return why an engine cannot be asked for services, and what to do; ("", "") if it can. Pure."""
    if not membership.active:
        return 'target = "swarm": this engine is in no cluster', 'docker swarm init; or target = "docker" in config.toml'
    if membership.error:
        return f"the cluster says: {membership.error}", "nothing was changed; docker node ls, on a manager that still runs"
    if not membership.manager:
        hint = "run gitdeploy on a manager, or set DOCKER_HOST to one; docker node promote makes one of a worker"
        return "this engine is a worker of its cluster, and only managers are asked for services", hint
    return "", ""


def quorum_problem(nodes: Sequence[Node]) -> tuple[str, str]:
    """Return why the managers cannot decide, and what to do; ("", "") if they can. Pure."""
    managers = [node for node in nodes if node.manager]
    reached = [node for node in managers if node.reachable and node.there]
    if len(reached) > len(managers) // 2:
        return "", ""
    missing = ", ".join(node.name for node in managers if node not in reached)
    return (
        f"only {len(reached)} of the cluster's {len(managers)} managers can be reached, and it takes more than half to decide",
        f"nothing was changed; bring back {missing}, or see docker swarm init --force-new-cluster",
    )


def require_services(app: App, nodes: Sequence[Node], api_version: str) -> None:
    """Raise StageFailed if an app asks for what a cluster's services do not have; before any build."""
    for part in processes(app):
        whose = app.name if part is app else f"process {part.process} of {app.name}"
        own_ports = part.publish if part.strategy == "recreate" or not has_router(part) or part.router.nodes else ()
        lacking = [f"run.{name}" for name in unsupported(part.run, api_version)]
        if lacking := [*lacking, *unsupported_attachments(part.volumes, own_ports)]:
            hint = 'take that out in config.toml, or use target = "docker" there'
            if "run.no_new_privileges" in lacking:
                hint = "engines before 25 take it for services by daemon.json alone: run.no_new_privileges = false does without"
            raise StageFailed(f"a service of a cluster cannot have {', '.join(lacking)} ({whose})", hint)
        if part.router.nodes and has_router(part):
            _require_entry(part, nodes)
    if len(nodes) > 1:
        _require_many(app)


def _require_many(app: App) -> None:
    """Raise StageFailed for what works on one machine and not on several."""
    for key, image in (("image", app.image), *([("router.image", app.router.image)] if app.router.nodes else [])):
        if (found := parse(image)) and found.domain.startswith(LOOPBACK):
            raise StageFailed(
                f"{key} = {image!r}: every machine of the cluster would look for that registry on itself",
                "name it by an address that all of them reach, and list it in their insecure-registries if it has no TLS",
            )
    kept = [volume for part in processes(app) for volume in part.volumes if not volume.read_only]
    if kept and not any(c.partition("==")[0].strip() in PINS for c in app.swarm.constraints):
        raise StageFailed(
            f"volumes: {kept[0]} is on one machine, and the cluster may start the app on another one, where it is empty",
            'say which machine has it: [apps.X.swarm] constraints = ["node.hostname==box1"]',
        )


def _require_entry(app: App, nodes: Sequence[Node]) -> None:
    """Raise StageFailed if no machine is to have a router."""
    if not entry_nodes(app, nodes):
        label = app.router.nodes.replace("==", "=", 1)
        hint = f"docker node update --label-add {label} NAME; docker node ls has the names"
        raise StageFailed(f"router.nodes: no machine that is there has the label {app.router.nodes}", hint)
