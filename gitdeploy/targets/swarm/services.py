"""A release as a service: its name, its labels, its secrets, and which of an app's services serves. Pure, but for `look`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gitdeploy.config.dnsname import LIMIT, dns_name
from gitdeploy.config.imagereference import same_repository
from gitdeploy.config.model import App
from gitdeploy.engine.cluster import Cluster, ClusterService
from gitdeploy.engine.types import Image
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP, RELEASE, VERSION, label_number, process_of
from gitdeploy.targets.router.haproxycfg import FULL, Backend

LIVE = "gitdeploy.live"
"""With the number of the deployment that brought the service live. The highest serves, what has none never did."""

SINCE = "gitdeploy.since"
"""With the time of that, in seconds since the epoch."""

WANTED = "gitdeploy.wanted"
"""With how many tasks a service had before it was brought to none, by a deployment or `gitdeploy stop`."""

ENTRY = "gitdeploy.entry"
"""Of a service that is the app's routers: what they were made by."""

DIRECT = "gitdeploy.direct"
"""Of a service that has ports of its own."""


@dataclass(frozen=True)
class Fleet:
    """The services of one process of an app.

    Attributes:
        services: oldest release first.
        live: what serves, or served last; None for nothing.
    """

    services: tuple[ClusterService, ...]
    live: ClusterService | None

    @property
    def others(self) -> tuple[ClusterService, ...]:
        """All but the one that serves."""
        return tuple(service for service in self.services if service is not self.live)

    def of_release(self, release: int) -> ClusterService | None:
        """Return the service of a release, None if there is none."""
        return next((s for s in self.services if label_number(s.labels, RELEASE) == release), None)


def look(cluster: Cluster, app: App) -> Fleet:
    """Ask the cluster for the services of the process that `app` describes."""
    own = [s for s in cluster.services({APP: app.name}) if process_of(s.labels) == app.process]
    return sort_out(s for s in own if ENTRY not in s.labels)


def sort_out(services: Iterable[ClusterService]) -> Fleet:
    """Find out which of a process's services serves. Pure."""
    ordered = tuple(sorted(services, key=lambda s: label_number(s.labels, RELEASE)))
    went_live = [s for s in ordered if label_number(s.labels, LIVE)]
    return Fleet(ordered, max(went_live, key=lambda s: label_number(s.labels, LIVE), default=None))


def service_name(app: App, release: int) -> str:
    """Return the name of a release's service."""
    return dns_name(app.container, f"-r{release}")


def overlay_name(app: App) -> str:
    """Return the network on which the router finds the app's tasks on all machines."""
    return dns_name(f"gitdeploy-{app.container}", "-front")


def alias_of_service(service: str) -> str:
    """Return the name that Docker's DNS answers with the addresses of a service's tasks."""
    return f"tasks.{service}"


def slots(service: str, count: int, weight: int = FULL) -> list[Backend]:
    """Return a service's tasks as the router knows them, by the service's name: as many servers of one name."""
    return [Backend(alias_of_service(service), weight=weight)] * count


def servers_of(cluster: Cluster, app: App, service: str, servers: Sequence[Backend]) -> list[Backend]:
    """Return these servers of a service, by its id, each with the address of a task, as far as there are any.

    HAProxy asks Docker's DNS for the others, and later for all.
    """
    network = overlay_name(app)
    known = [t.addresses[network] for t in cluster.tasks([service]) if t.running and network in t.addresses]
    addresses = [*known, *[""] * len(servers)]
    return [replace(server, address=address) for server, address in zip(servers, addresses, strict=False)]


def live_labels(deployment: int, now: float) -> dict[str, str]:
    """Return the labels of a service that a deployment has just brought live; takes seconds since the epoch."""
    return {LIVE: str(deployment), SINCE: str(int(now))}


def version_of_service(service: ClusterService) -> str:
    """Return the version that a service runs, for people."""
    return service.labels.get(VERSION) or service.image


def by_digest(app: App, image: Image) -> str:
    """Return how every machine pulls this image: by its digest in the app's own repository. Raises StageFailed."""
    digest = next((digest for digest in image.digests if same_repository(digest, app.image)), "")
    if digest:
        return digest
    hint = "push.tags has to name at least one tag, and the registry has to take it; then deploy again"
    raise StageFailed(f"the digest of the image in {app.image} is not known, so no machine could pull it", hint)


def split_secrets(env: Mapping[str, str], files: Sequence[str]) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return what becomes a variable, and what becomes a file. Raises StageFailed for a file of which nobody knows a value."""
    if missing := [name for name in files if name not in env]:
        hint = "add it to the app's env_file, or take it out of swarm.secret_files in config.toml"
        raise StageFailed(f"swarm.secret_files: env_file has no {', '.join(missing)}", hint)
    return (
        {name: value for name, value in env.items() if name not in files},
        {name: env[name].encode() for name in files},
    )


def secret_name(service: str, name: str) -> str:
    """Return what a secret of a release is called in the cluster: 64 characters at most."""
    whole = f"{service}.{name}"
    return (
        whole
        if len(whole) <= LIMIT and "/" not in name
        else f"{service[:40]}.{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
    )
