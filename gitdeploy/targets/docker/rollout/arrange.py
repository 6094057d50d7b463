"""Before an overlapping rollout: what serves now, and how requests will be moved from it to the new release."""

from __future__ import annotations

from functools import partial

from gitdeploy.config.model import App
from gitdeploy.engine.ports import port_taken_by
from gitdeploy.engine.types import Container
from gitdeploy.errors import StageFailed
from gitdeploy.targets.docker.rollout.found import Found, Group, active, carries, look_to_deploy, room, servers, serving
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.router.container import create, fits, has_router, require_image, revive
from gitdeploy.targets.router.haproxycfg import FULL, Settings, settings
from gitdeploy.targets.router.leading import lead_to
from gitdeploy.targets.router.switch import ByOthers, ByReload, ByStart, ByWeight, Switch
from gitdeploy.targets.router.takeover import free_ports, put_back


def arrange(r: Rollout) -> tuple[Group | None, Switch]:
    """Return the group that serves now, None for none, and the way requests will take to the new one; the router is put right.

    Nothing that serves is touched. Raises StageFailed for an app that cannot overlap, a taken port, no router to be had.
    """
    app = r.release.app
    require_overlap(app)
    found = look_to_deploy(r.engine, app)
    if not has_router(app):
        return serving(found, ()), ByOthers()
    image = require_image(r.engine, app, found.routers, r.credentials, r.output)
    wanted = settings(app, r.check, room(app, found))
    router = revive(r.engine, found.routers, wanted, r.output)
    now = serving(found, active(router.servers) if router else ())
    if router is None:
        return now, _without_router(r, found, now, wanted, image)
    container = r.engine.container(router.container)
    if container is None or not fits(container, app):
        new = create(r.engine, app, wanted, image)
        return now, ByStart(r.engine, app, new, r.clock, r.output, old_router=router)
    if not router.up_to_date:
        return now, ByReload(router, app)
    if now and now.routed and not (carries(router.servers, now) and (r.reuse or len(router.servers) == len(now.aliases))):
        router.apply(servers(app, now.containers, FULL))
    return now, ByWeight(router, app)


def require_overlap(app: App) -> None:
    """Raise StageFailed for an app whose containers cannot run side by side."""
    change = f'change `publish` of {app.name} in config.toml, or use strategy "recreate"'
    if has_router(app) and (udp := [p for p in app.publish if p.protocol == "udp"]):
        raise StageFailed(f'strategy "{app.strategy}": HAProxy has no UDP, and {udp[0]} is to be published', change)
    if app.router.kind == "external" and app.publish:
        raise StageFailed(f'router "external": two containers cannot both publish {app.publish[0]}', change)


def _without_router(r: Rollout, found: Found, now: Group | None, wanted: Settings, image: str) -> Switch:
    """Return a new router: started now where the containers behind the old one lost it, else when the new release is ready."""
    app = r.release.app
    direct = [c for group in found.groups if not group.routed for c in group.containers]
    require_free_ports(r, direct)
    router = create(r.engine, app, wanted, image)
    running = [c for c in direct if c.running]
    switch = ByStart(
        *(r.engine, app, router, r.clock, r.output),
        held=bool(running),
        free=partial(free_ports, r.engine, app, direct),
        back=[partial(put_back, r.engine, app, c) for c in running],
    )
    if now is None or not now.routed:
        return switch
    r.output.line(f"the router is gone: a new one takes {now.version} to the ports again")
    lead_to(switch, servers(app, now.containers, FULL), r.clock, r.output)
    return ByWeight(router, app)


def require_free_ports(r: Rollout, own: list[Container]) -> None:
    """Raise StageFailed if a port of the app is held by a container that will not be stopped for it."""
    mine = {c.id for c in own}
    others = [c for c in r.engine.containers({}, all=False) if c.id not in mine]
    reason, hint = port_taken_by(others, r.release.app.publish, r.release.app.name)
    if reason:
        raise StageFailed(reason, hint)
