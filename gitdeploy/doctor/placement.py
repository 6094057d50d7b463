"""Which machines of a cluster may run an app, and what stands in their way. Pure.

Constraints are judged as the cluster does: https://github.com/moby/swarmkit, manager/constraint/constraint.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from gitdeploy.config.model import App
from gitdeploy.doctor.finding import Finding
from gitdeploy.engine.cluster import Node

NODE_LABEL, ENGINE_LABEL = "node.labels.", "engine.labels."
PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i386": "386", "i686": "386"}
"""What a kernel calls a processor → what images call it."""


def fits(node: Node, constraint: str) -> bool:
    """Return whether a machine fulfils a constraint; one of labels that only its engine knows counts as fulfilled."""
    name, operator, value = (part.strip() for part in constraint.partition("!=" if "!=" in constraint else "=="))
    if name.startswith(ENGINE_LABEL):
        return True
    same = _has_address(node, value) if name == "node.ip" else _fact(node, name).casefold() == value.casefold()
    return same is (operator == "==") if same is not None else False


def _fact(node: Node, name: str) -> str:
    """Return what a machine has under the name of a constraint, "" for nothing."""
    system, _, processor = node.platform.partition("/")
    if name.startswith(NODE_LABEL):
        return node.labels.get(name.removeprefix(NODE_LABEL), "")
    facts = {"node.id": node.id, "node.hostname": node.name, "node.role": "manager" if node.manager else "worker"}
    return {**facts, "node.platform.os": system, "node.platform.arch": processor}.get(name, "")


def _has_address(node: Node, value: str) -> bool | None:
    """Return whether a machine's address is that one, or in that network; None if it is neither: then no machine fits."""
    try:
        return ipaddress.ip_address(node.address) in ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None


def platform_key(platform: str) -> str:
    """Return one spelling for "linux/x86_64", as machines have it, and "linux/amd64", as images have it."""
    system, _, processor = platform.partition("/")
    return f"{system}/{PROCESSORS.get(processor, processor)}"


def judge_placement(app: App, nodes: Sequence[Node], platform: str) -> Iterator[Finding]:
    """Yield why an app has no machine to run on, or one that cannot run it.

    Args:
        platform: what its image is for, "" if nobody knows.
    """
    wanted = ", ".join(app.swarm.constraints)
    allowed = [node for node in nodes if all(fits(node, constraint) for constraint in app.swarm.constraints)]
    if not allowed:
        names = ", ".join(node.name for node in nodes)
        fix = "docker node update --label-add NAME=VALUE MACHINE, or change swarm.constraints in config.toml"
        yield Finding("error", "cluster", f"swarm.constraints: none of {names} fits {wanted}", fix, app.name)
        return
    able = [node for node in allowed if takes_tasks(node)]
    if not able:
        states = ", ".join(f"{node.name} ({state_of(node)})" for node in allowed)
        found = f"no machine takes its tasks: {states}" + (f" fits {wanted}" if wanted else "")
        yield Finding("error", "cluster", found, "docker node update --availability active MACHINE; docker node ls", app.name)
    others = [node for node in able if platform and node.platform and platform_key(node.platform) != platform_key(platform)]
    if others:
        names = ", ".join(f"{node.name} ({platform_key(node.platform)})" for node in others)
        fix = f'swarm.constraints = ["node.platform.arch=={_spelled_by(able, platform)}"] keeps it from them'
        found = f"its image is for {platform_key(platform)} and may be started on {names}"
        yield Finding("error", "cluster", found, fix, app.name)


def _spelled_by(nodes: Sequence[Node], platform: str) -> str:
    """Return the processor of a platform as those machines spell it that have it."""
    own = [node.platform for node in nodes if platform_key(node.platform) == platform_key(platform)]
    return (own or [platform])[0].partition("/")[2]


def takes_tasks(node: Node) -> bool:
    """Return whether the cluster starts anything on a machine."""
    return node.ready and node.availability == "active"


def state_of(node: Node) -> str:
    """Return a word for what keeps a machine from tasks, or "ready"."""
    return node.state if not node.ready or node.availability == "active" else f"availability {node.availability}"
