"""Before an overlapping rollout: what serves now, and how requests will be moved from it to the new release."""

from __future__ import annotations

from gitdeploy.config.model import App
from gitdeploy.engine.ports import port_holder
from gitdeploy.engine.types import Container
from gitdeploy.errors import EngineError, StageFailed
from gitdeploy.targets.docker.rollout.found import Found, Group, active, carries, look_to_deploy, room, serving
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.switch import ByOthers, ByReload, ByStart, ByWeight, Switch, servers
from gitdeploy.targets.docker.router.container import check, create, fits, has_router, require_image
from gitdeploy.targets.docker.router.haproxy import Haproxy
from gitdeploy.targets.docker.router.haproxycfg import FULL, Settings, settings
from gitdeploy.targets.undo import Undo


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
    router = revive(r, found, wanted)
    now = serving(found, active(router.servers) if router else ())
    if router is None:
        return now, _without_router(r, found, now, wanted, image)
    container = r.engine.container(router.container)
    if container is None or not fits(container, app):
        check(r.engine, app, wanted, image)
        new = create(r.engine, app, wanted, image)
        return now, ByStart(r.engine, app, new, r.clock, r.output, old_router=router)
    if not router.up_to_date:
        check(r.engine, app, wanted, container.image)
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


def revive(r: Rollout, found: Found, wanted: Settings) -> Haproxy | None:
    """Return the app's router, running and answering; None if there is none, or none that can be started."""
    if not found.routers:
        return None
    container = found.routers[0]
    router = Haproxy(r.engine, container.id, wanted)
    try:
        if container.running:
            router.look()
            return router
    except StageFailed as error:
        r.output.line(f"restarting the router {container.name}, which does not answer: {error.reason}")
    else:
        r.output.line(f"starting the router {container.name}, which is {container.state}")
    try:
        router.restart()
    except (EngineError, StageFailed) as error:
        r.output.line(f"making a new router, for {container.name} cannot be started: {error.reason}")
        r.engine.remove(container.id, force=True)
        return None
    return router


def _without_router(r: Rollout, found: Found, now: Group | None, wanted: Settings, image: str) -> Switch:
    """Return a new router: started now where the containers behind the old one lost it, else when the new release is ready."""
    app = r.release.app
    direct = [c for group in found.groups if not group.routed for c in group.containers]
    require_free_ports(r, direct)
    check(r.engine, app, wanted, image)
    router = create(r.engine, app, wanted, image)
    switch = ByStart(r.engine, app, router, r.clock, r.output, direct=direct)
    if now is None or not now.routed:
        return switch
    r.output.line(f"the router is gone: a new one takes {now.version} to the ports again")
    undo = Undo(r.output)
    undo.add("taking the new router away again", switch.revert, traffic=True)
    with undo.on_failure():
        switch.commit(now.containers)
        switch.keep(now.containers)
    return ByWeight(router, app)


def require_free_ports(r: Rollout, own: list[Container]) -> None:
    """Raise StageFailed if a port of the app is held by a container that will not be stopped for it."""
    mine = {c.id for c in own}
    others = [c for c in r.engine.containers({}, all=False) if c.id not in mine]
    for port in r.release.app.publish:
        if holder := port_holder(others, port):
            reason = f"host port {port.host_port} is taken by container {holder.name} ({holder.image_ref})"
            raise StageFailed(reason, f"stop that container, or change `publish` of {r.release.app.name} in config.toml")
