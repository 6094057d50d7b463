"""The cluster that apps with `target = "swarm"` run on: whether it can decide, its machines, and what each app asks of it."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence

from gitdeploy.config.attachments import Publish
from gitdeploy.config.checks import processes
from gitdeploy.config.imagereference import registry
from gitdeploy.config.model import App
from gitdeploy.doctor.finding import Finding, from_error
from gitdeploy.doctor.placement import judge_placement, platform_key, state_of, takes_tasks
from gitdeploy.engine.cluster import Cluster, Membership, Node
from gitdeploy.engine.ports import port_holder, port_taken_by
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP
from gitdeploy.targets.swarm.services import DIRECT, look
from gitdeploy.targets.swarm.standing import LOOPBACK, membership_problem, quorum_problem, require_services

Taken = Callable[[Publish], bool]
"""Whether any program of the engine's machine has that port."""


def examine_cluster(apps: Iterable[App], engine: Engine, taken: Taken | None) -> Iterator[Finding]:
    """Look at the cluster, for the apps that run on one; there is nothing to say where none does.

    Args:
        taken: None where this process is not on the engine's machine, or in another network than that.
    """
    mine = [app for app in apps if app.target == "swarm"]
    if not mine:
        return
    cluster = engine.cluster()
    membership = cluster.membership()
    reason, hint = membership_problem(membership)
    nodes = [] if reason else cluster.nodes()
    if not reason:
        reason, hint = quorum_problem(nodes)
    if reason:
        yield Finding("error", "cluster", f"{reason} (for {', '.join(app.name for app in mine)})", hint)
        return
    yield from judge_nodes(nodes, membership.node)
    yield from judge_plain_registries(mine, nodes, membership)
    containers, api = engine.containers({}, all=False), engine.info().api_version
    for app in mine:
        try:
            require_services(app, nodes, api)
        except StageFailed as error:
            yield from_error("cluster", error, app=app.name)
        yield from judge_placement(app, nodes, _platform(engine, cluster, app, nodes))
        for part in (part for part in processes(app) if not part.router.nodes):  # whose ports may all be on other machines
            yield from judge_ports(part, containers, _has_ports(cluster, part), taken)


def judge_nodes(nodes: Sequence[Node], here: str) -> Iterator[Finding]:
    """Yield what machines there are, and which of them run nothing; `here`: the id of this engine's own. Pure.

    A manager that was drained is one that only decides.
    """
    idle = {node.id: node for node in nodes if not takes_tasks(node)}
    told = [node for node in idle.values() if not (node.ready and node.manager)]
    for node in told:
        found = f"{node.name} is {node.state}: what ran there runs on other machines, as far as any fits"
        fix = f"see that its engine runs and is reached at ports 2377 and 7946; or, if it is gone: docker node rm {node.name}"
        if node.ready:
            found = f"{node.name} takes no tasks ({state_of(node)})"
            fix = f"docker node update --availability active {node.name}, when it may"
        yield Finding("warning", "cluster", found, fix)
    names = [
        node.name
        + (", this one" if node.id == here else "")
        + (" (manager)" if node.manager else "")
        + (f" ({state_of(node)})" if node.id in idle else "")
        for node in nodes
    ]
    yield Finding("ok", "cluster", f"machines: {'; '.join(names)}")


def judge_plain_registries(apps: Sequence[App], nodes: Sequence[Node], membership: Membership) -> Iterator[Finding]:
    """Yield registries that this engine speaks to without TLS: every machine has to, and none tells of the others. Pure.

    Where this engine is missing the entry itself, its login there fails, which is another check's.
    """
    hosts = sorted({registry(app.image) for app in apps if not registry(app.image).startswith(LOOPBACK)})
    plain = [host for host in hosts if without_tls(host, membership.insecure)]
    if plain and len(nodes) > 1:
        entry = ", ".join(f'"{host}"' for host in plain)
        found = f"without TLS: {', '.join(plain)}; each of {', '.join(node.name for node in nodes)} needs"
        yield Finding("ok", "cluster", f'{found} {{"insecure-registries": [{entry}]}} in its daemon.json, as this machine has')


def without_tls(host: str, insecure: Sequence[str]) -> bool:
    """Return whether an engine with these insecure registries speaks to one without TLS; names are not resolved. Pure."""
    if host in insecure:
        return True
    try:
        address = ipaddress.ip_address(re.sub(r":\d+$", "", host).strip("[]"))
    except ValueError:
        return False
    return any("/" in entry and address in ipaddress.ip_network(entry, strict=False) for entry in insecure)


def judge_ports(app: App, containers: Sequence[Container], served: bool, taken: Taken | None) -> Iterator[Finding]:
    """Yield who else has a port of one process of an app on this machine.

    Args:
        containers: all that run here.
        served: whether the app itself has its ports.
        taken: see `examine_cluster`.
    """
    for port in app.publish:
        found, fix = port_taken_by((c for c in containers if c.labels.get(APP) != app.name), [port], app.name)
        own = served or port_holder((c for c in containers if c.labels.get(APP) == app.name), port)
        if found:
            yield Finding("error", "cluster", found, fix, app.name)
        elif not own and taken and taken(port):
            found = f"host port {port.host_port} is taken by a program of this machine"
            fix = f"ss -lptn 'sport = :{port.host_port}' names it; or change `publish` of {app.name} in config.toml"
            yield Finding("error", "cluster", found, fix, app.name)


def port_taken(port: Publish) -> bool:
    """Return whether a port of this machine cannot be had; False where nobody can tell, as without the right to have it."""
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in port.host_ip else socket.AF_INET
    with socket.socket(family, kind) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what still ends there is in nobody's way
        try:
            one.bind((port.host_ip or "0.0.0.0", port.host_port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _has_ports(cluster: Cluster, app: App) -> bool:
    """Return whether a service of the app has the ports itself, on whatever machine."""
    live = look(cluster, app).live
    return bool(live and live.replicas and live.labels.get(DIRECT))


def _platform(engine: Engine, cluster: Cluster, app: App, nodes: Sequence[Node]) -> str:
    """Return what the app's image is for; before its first deployment, what this machine would build it for."""
    live = look(cluster, app).live
    image = engine.image(live.image) if live else None
    here = cluster.membership().node
    return image.platform if image else platform_key(next((node.platform for node in nodes if node.id == here), ""))
