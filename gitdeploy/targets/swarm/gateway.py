"""The router in front of a cluster's app: a container on this manager that finds tasks on all machines by Docker's DNS."""

from __future__ import annotations

from collections.abc import Callable

from gitdeploy.config.model import App
from gitdeploy.engine.cluster import ClusterService
from gitdeploy.engine.ports import port_taken_by
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP
from gitdeploy.targets.router.container import check, create, find, fits, has_router, require_image, revive
from gitdeploy.targets.router.haproxycfg import settings
from gitdeploy.targets.router.switch import ByOthers, ByReload, ByStart, ByWeight, Switch
from gitdeploy.targets.swarm.clusterrollout import ClusterRollout
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
    network = overlay_name(app)
    r.cluster.ensure_overlay(network, {APP: app.name})
    routers = find(r.engine, app)
    image = require_image(r.engine, app, routers, r.credentials, r.output)
    wanted = settings(app, r.check, tasks, services=True)
    router = revive(r.engine, routers, wanted, r.output)
    container = r.engine.container(router.container) if router else None
    if router is None or container is None or not fits(container, app):
        require_ports(r.engine, app, {c.id for c in routers})
        check(r.engine, app, wanted, image)
        new = create(r.engine, app, wanted, image, network)
        direct = bool(live and live.labels.get(DIRECT) and live.replicas)
        way = (r.engine, app, new, r.clock, r.output)
        return ByStart(*way, old_router=router, held=direct, free=free, back=[back] if direct else [])
    if not router.up_to_date:
        check(r.engine, app, wanted, container.image)
        return ByReload(router, app)
    if live and {server.alias for server in router.servers if server.weight} != {alias_of_service(live.name)}:
        router.apply(slots(live.name, live.replicas))
    return ByWeight(router, app)


def require_ports(engine: Engine, app: App, own: set[str]) -> None:
    """Raise StageFailed if a container of this machine holds a port that the router needs, but for these, by id."""
    others = [c for c in engine.containers({}, all=False) if c.id not in own and c.labels.get(APP) != app.name]
    reason, hint = port_taken_by(others, app.publish, app.name)
    if reason:
        raise StageFailed(reason, hint)
