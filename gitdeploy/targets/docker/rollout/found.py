"""What an app has on the engine and which of it serves, from labels, names and what HAProxy says: no record is needed.

A release has committed when the router sends requests to it. Its first container takes the app's name after that, so the name
tells what served last where no router runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP, ONE_OFF, RELEASE, REPLICA, ROLE, VERSION, label_number
from gitdeploy.targets.docker.ownership import another_name, containers_of, name_problem
from gitdeploy.targets.router.container import network_name
from gitdeploy.targets.router.haproxycfg import FULL, Backend
from gitdeploy.targets.router.takeover import serves_directly


@dataclass(frozen=True)
class Group:
    """The containers of one release that serve together.

    Attributes:
        release: 0 for a container that gitdeploy did not make.
        routed: whether others hold the ports for them; else there is one container, with ports of its own.
        containers: by replica.
    """

    release: int
    routed: bool
    containers: tuple[Container, ...]

    def __contains__(self, container: Container) -> bool:
        return any(c.id == container.id for c in self.containers)

    @property
    def aliases(self) -> frozenset[str]:
        """What the router knows them by."""
        return frozenset(map(alias, self.containers))

    @property
    def version(self) -> str:
        """The version it runs, for people."""
        return version_of(self.containers[0])


@dataclass(frozen=True)
class Found:
    """All that an app has.

    Attributes:
        routers: running ones first; more than one only while one is replaced.
        groups: oldest first.
        named: the container that bears the app's name, if it is the app's or may become so.
        strays: containers of no consequence that a crash left behind.
        taken: why the container that bears the name is not the app's, "" if it is or there is none.
    """

    routers: tuple[Container, ...]
    groups: tuple[Group, ...]
    named: Container | None
    strays: tuple[Container, ...] = ()
    taken: str = ""


def alias(container: Container) -> str:
    """Return the name of a container on the app's network, whatever its own name is at the moment."""
    return alias_of(container.labels.get(RELEASE, "0"), container.labels.get(REPLICA, "0"))


def alias_of(release: int | str, replica: int | str) -> str:
    """Return the name on the app's network of a release's container."""
    return f"r{release}-{replica}"


def version_of(container: Container) -> str:
    """Return the version a container runs, for people."""
    return container.labels.get(VERSION) or container.image_ref


def started_at(container: Container) -> float:
    """Return when a container was started last, in seconds since the epoch; 0.0 for never. Pure."""
    return datetime.fromisoformat(container.started).timestamp() if container.started else 0.0


def look(engine: Engine, app: App) -> Found:
    """Ask the engine."""
    own = containers_of(engine, app)
    named = engine.container(app.container)
    taken = name_problem(app, named) if named else ""
    return replace(sort_out(own, None if taken else named), taken=taken)


def look_to_deploy(engine: Engine, app: App) -> Found:
    """Return the same before a deployment. Raises StageFailed if the app's container name is not its own to take."""
    found = look(engine, app)
    if found.taken:
        raise StageFailed(found.taken, another_name(app, found.taken))
    return found


def sort_out(own: Iterable[Container], named: Container | None) -> Found:
    """Put an app's containers, newest first as the engine lists them, into groups. Pure."""
    routers: list[Container] = []
    strays: list[Container] = []
    grouped: dict[tuple[int, bool], list[Container]] = {}
    if named and not named.labels.get(APP):
        grouped[0, False] = [named]
    for container in reversed([c for c in own if ONE_OFF not in c.labels]):
        role = container.labels.get(ROLE)
        if role == "router":
            routers.append(container)
        elif role == "app":
            key = (label_number(container.labels, RELEASE), REPLICA in container.labels)
            grouped.setdefault(key, []).append(container)
        else:
            strays.append(container)
    groups = [
        Group(release, routed, tuple(sorted(containers, key=lambda c: label_number(c.labels, REPLICA))))
        for (release, routed), containers in grouped.items()
    ]
    return Found(tuple(sorted(routers, key=lambda c: not c.running)), tuple(groups), named, tuple(strays))


def serving(found: Found, active: Collection[str]) -> Group | None:
    """Return the group that serves, or served last. Pure.

    Args:
        active: aliases that a running router sends requests to.
    """
    named = next((group for group in found.groups if found.named and found.named in group), None)
    routed = [group for group in found.groups if group.routed and group.aliases & set(active)]
    if routed:  # several at a time in the middle of rolling or canary: then the older one is what was known to work
        return named if named in routed else routed[0]
    direct = [group for group in found.groups if not group.routed]
    running = [group for group in direct if any(map(serves_directly, group.containers))]
    if running:
        return named if named in running else running[-1]
    if named:
        return named
    started = [group for group in direct if any(c.started for c in group.containers)]
    return started[-1] if started else None


def room(app: App, found: Found) -> int:
    """Return how many containers the router may have to know at the same time. Pure."""
    largest = max((len(group.containers) for group in found.groups), default=0)
    return max(largest, app.replicas) + app.replicas


def active(servers: Iterable[Backend]) -> frozenset[str]:
    """Return the aliases that get requests. Pure."""
    return frozenset(server.alias for server in servers if server.weight)


def carries(servers: Iterable[Backend], group: Group) -> bool:
    """Return whether this group gets all requests, each of its containers the same share. Pure."""
    return {server.alias: server.weight for server in servers if server.weight} == dict.fromkeys(group.aliases, FULL)


def everyone(groups: Iterable[Group]) -> Iterator[Container]:
    """Yield the containers of all groups."""
    for group in groups:
        yield from group.containers


def servers(app: App, containers: Sequence[Container], weight: int) -> list[Backend]:
    """Return the containers as the router knows them, all with that weight. Pure."""
    network = network_name(app)
    return [Backend(alias(c), c.addresses.get(network, ""), weight) for c in containers]
