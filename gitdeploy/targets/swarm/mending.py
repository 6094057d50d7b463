"""After a crash at any point, or a stop: what serves is made whole, what was left over is removed.

All is read from the services' labels. What went live is finished, what had not is undone.
"""

from __future__ import annotations

from gitdeploy.config.model import App
from gitdeploy.engine.cluster import ClusterService
from gitdeploy.errors import EngineGone, GitdeployError
from gitdeploy.releases.release import RELEASE, label_number
from gitdeploy.targets.router.container import find, has_router, settle
from gitdeploy.targets.router.leading import lead_to
from gitdeploy.targets.swarm.clusterrollout import ClusterRollout
from gitdeploy.targets.swarm.gateway import close_gateway, open_gateway, tidy_gateway
from gitdeploy.targets.swarm.services import (
    DIRECT,
    LIVE,
    SINCE,
    WANTED,
    Fleet,
    live_labels,
    look,
    servers_of,
    slots,
    version_of_service,
)
from gitdeploy.targets.swarm.shrinking import drop_secrets, end_release, put_back, remove_release


def recover_services(r: ClusterRollout, *, onto: int = 0, but: int = 0) -> int:
    """Bring one process of an app into order; do nothing to one that is in order.

    Args:
        r: of what was interrupted: nothing is brought live.
        onto: the release that is to serve, whatever does now.
        but: a release that is not to serve, and goes.

    Returns:
        the release that serves afterwards, 0 for none.
    """
    app = r.release.app
    fleet = look(r.cluster, app)
    chosen = _choose(fleet, onto, but)
    if chosen is None:
        for service in fleet.services:
            r.output.line(f"removing what was left over: {service.name}")
            remove_release(r.cluster, app, service.name)
        drop_secrets(r.cluster, app)
        close_gateway(r)
        return 0
    rest = [s for s in fleet.services if s.id != chosen.id and not held(app, chosen, s, r.now())]
    try:
        if chosen.labels.get(DIRECT):
            for service in rest:
                end_release(r.cluster, app, service.name, r.credentials, r.patient)
        _make_whole(r, chosen)
    except EngineGone:
        raise
    except GitdeployError as error:
        r.output.line(f"{version_of_service(chosen)} cannot serve: {error.reason}; all of the app was left as it is")
        return 0
    if label_number(chosen.labels, LIVE) == 0:
        r.cluster.label_service(chosen.id, live_labels(onto, r.now()))
    for service in rest:
        r.output.line(f"removing what was left over: {service.name}")
        remove_release(r.cluster, app, service.name)
    drop_secrets(r.cluster, app)
    return label_number(chosen.labels, RELEASE)


def _choose(fleet: Fleet, onto: int, but: int) -> ClusterService | None:
    """Return the service that is to serve, None for none of them. Pure."""
    if onto and (wanted := fleet.of_release(onto)):
        return wanted
    went_live = [s for s in fleet.services if label_number(s.labels, LIVE) and label_number(s.labels, RELEASE) != but]
    return max(went_live, key=lambda s: label_number(s.labels, LIVE), default=None)


def _make_whole(r: ClusterRollout, service: ClusterService) -> None:
    """Give a service its tasks back, and all requests. Raises EngineError, StageFailed."""
    app = r.release.app
    if label_number(service.labels, WANTED) or not service.replicas:
        r.output.line(f"{version_of_service(service)} serves again")
        if service.labels.get(DIRECT):
            close_gateway(r)
        if not label_number(service.labels, WANTED):
            r.cluster.label_service(service.id, {WANTED: str(1 if service.labels.get(DIRECT) else app.replicas)})
        put_back(r.cluster, service, r.credentials, r.patient)
    if service.labels.get(DIRECT) or not has_router(app):
        close_gateway(r)
        return
    now = r.cluster.service(service.id) or service
    tasks = servers_of(r.cluster, app, now.id, slots(now.name, now.replicas))
    lead_to(open_gateway(r, None, now.replicas), tasks, r.clock, r.output)
    if routers := find(r.engine, app):
        settle(r.engine, app, routers[0].id)
    tidy_gateway(r)


def held(app: App, live: ClusterService, service: ClusterService, now: float) -> bool:
    """Return whether a service is kept for an instant way back. Pure."""
    went_live = label_number(service.labels, LIVE) > 0 and service.replicas > 0
    return went_live and hold_left(app, live, now) > 0


def hold_left(app: App, live: ClusterService, now: float) -> float:
    """Return seconds for which the release before `live` is still to be kept. Pure."""
    return label_number(live.labels, SINCE) + app.hold - now if app.strategy == "blue-green" else 0.0
