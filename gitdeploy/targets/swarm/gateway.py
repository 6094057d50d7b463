"""The router in front of a cluster's app: a container on this manager that finds tasks on all machines by Docker's DNS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from gitdeploy.config.model import App
from gitdeploy.engine.cluster import ClusterService
from gitdeploy.engine.ports import port_taken_by
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP
from gitdeploy.targets.router.container import Make, create, discard, find, fits, has_router, require_image, revive
from gitdeploy.targets.router.haproxy import Haproxy
from gitdeploy.targets.router.haproxycfg import settings
from gitdeploy.targets.router.switch import ByOthers, ByReload, ByStart, ByWeight, Switch
from gitdeploy.targets.swarm.clusterrollout import ClusterRollout
from gitdeploy.targets.swarm.entrance import Entrance, entry_image
from gitdeploy.targets.swarm.entryservice import EntryService, control_network
from gitdeploy.targets.swarm.services import DIRECT, alias_of_service, overlay_name, slots


def open_gateway(
    r: ClusterRollout,
    live: ClusterService | None,
    tasks: int,
    free: Callable[[], object] = lambda: None,
    back: Callable[[], object] = lambda: None,
) -> Switch:
    """Return the way requests will take to the new release; the router is put right, and nothing that serves is touched.

    Args:
        live: what serves now, and gets all requests meanwhile; None for nothing.
        tasks: how many there may be at a time.
        free: makes it give up ports of its own.
        back: gives it those back.

    Raises:
        StageFailed: a port is taken, or there is no router to be had.
    """
    app = r.release.app
    if not has_router(app):
        return ByOthers()
    networks = _networks(r)
    routers = find(r.engine, app)
    image = require_image(r.engine, app, routers, r.credentials, r.output)
    wanted = settings(app, r.check, tasks, services=True)
    entries = EntryService(r.cluster, app, r.credentials)
    make: Make = Haproxy
    if app.router.nodes:
        entries.image = entry_image(r.engine, app, image)
        wanted = replace(wanted, control=r.cluster.subnet(networks[1]))
        make = partial(Entrance, service=entries)
    fit = bool(routers) and fits(routers[0], app)
    router = revive(r.engine, routers, wanted, r.output, make if fit else Haproxy)
    container = r.engine.container(router.container) if router else None
    if router is None or container is None or not fits(container, app):
        if not app.router.nodes:
            require_ports(r.engine, app, {c.id for c in routers})
        new = create(r.engine, app, wanted, image, *networks, make=make)
        direct = bool(live and live.labels.get(DIRECT) and live.replicas)
        way = (r.engine, app, new, r.clock, r.output)
        if router and not app.router.nodes and entries.find():  # else what makes the service anew must not end it before
            router = Entrance(r.engine, router.container, wanted, entries)
        return ByStart(*way, old_router=router, held=direct, free=free, back=[back] if direct else [])
    if not router.up_to_date:
        return ByReload(router, app)
    if live and {server.alias for server in router.servers if server.weight} != {alias_of_service(live.name)}:
        router.apply(slots(live.name, live.replicas))
    return ByWeight(router, app)


def _networks(r: ClusterRollout) -> tuple[str, ...]:
    """Return the networks of the app's routers, which are made if there are none."""
    app = r.release.app
    names = (overlay_name(app), *([control_network(app)] if app.router.nodes else []))
    for name in names:
        r.cluster.ensure_overlay(name, {APP: app.name})
    return names


def tidy_gateway(r: ClusterRollout) -> None:
    """Remove what the app's routers do not need, or all of them where it has none any more. Raises EngineError."""
    app = r.release.app
    entries = EntryService(r.cluster, app)
    if app.router.nodes and has_router(app):
        entries.drop_files()
    elif has_router(app):
        if entries.find():
            entries.remove()
            r.engine.remove_network(control_network(app))
    else:
        close_gateway(r)


def close_gateway(r: ClusterRollout) -> None:
    """Remove all routers of the app, with their networks. Raises EngineError."""
    app = r.release.app
    EntryService(r.cluster, app).remove()
    discard(r.engine, app, overlay_name(app), control_network(app))


def require_ports(engine: Engine, app: App, own: set[str]) -> None:
    """Raise StageFailed if a container of this machine holds a port that the router needs, but for these, by id."""
    others = [c for c in engine.containers({}, all=False) if c.id not in own and c.labels.get(APP) != app.name]
    reason, hint = port_taken_by(others, app.publish, app.name)
    if reason:
        raise StageFailed(reason, hint)
