"""After a crash at any point of any strategy: what serves is made whole, what was left over is removed.

Everything is read from the engine. What had committed is finished, what had not is undone; see `found.serving` for the marks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import NEVER, Container, Credentials, Output
from gitdeploy.errors import EngineError, EngineGone, GitdeployError, StageFailed
from gitdeploy.targets.check import check_of
from gitdeploy.targets.docker.health import Waiter
from gitdeploy.targets.docker.rollout.found import Found, Group, active, carries, everyone, look, servers, serving
from gitdeploy.targets.docker.rollout.held import hold_left
from gitdeploy.targets.docker.rollout.names import take_name
from gitdeploy.targets.docker.rollout.serving import router_settings
from gitdeploy.targets.docker.rollout.stopping import remove_all, stop_all
from gitdeploy.targets.router.container import create, discard, find, has_router, require_image, settle
from gitdeploy.targets.router.haproxy import Haproxy
from gitdeploy.targets.router.haproxycfg import FULL
from gitdeploy.targets.router.leading import lead_to
from gitdeploy.targets.router.switch import ByReload, ByStart, ByWeight
from gitdeploy.targets.router.takeover import put_back, serves_directly


@dataclass(frozen=True)
class Recovery:
    """What recovery works with.

    Attributes:
        app: the configuration of the deployment that was interrupted.
        clock: seconds, monotonic.
        now: seconds since the epoch.
        credentials: to pull the router's image if it is gone.
    """

    engine: Engine
    app: App
    output: Output
    clock: Callable[[], float]
    now: Callable[[], float]
    credentials: Credentials


def recover(
    engine: Engine,
    app: App,
    output: Output,
    clock: Callable[[], float],
    *,
    now: Callable[[], float] = time.time,
    credentials: Credentials = lambda _: None,
    waits: bool = False,
    onto: int = 0,
    but: int = 0,
) -> int:
    """Bring an app into order whose deployment was interrupted; do nothing to one that is in order.

    Waits until what serves is healthy, if that is asked for or nobody knows yet that it can be.

    Args:
        onto: the release that is to serve, whatever does now.
        but: a release that is not to serve, and goes.

    Returns:
        the release that serves afterwards, 0 for none or for a container that gitdeploy did not make.
    """
    r = Recovery(engine, app, output, clock, now, credentials)
    found = look(engine, app)
    router = _router(r, found)
    served = active(router.servers) if router else frozenset()
    fit = replace(found, groups=tuple(group for group in found.groups if not but or group.release != but))
    chosen = next((group for group in fit.groups if onto and group.release == onto), None) or serving(fit, served)
    chosen = chosen or (fit.groups[-1] if but and fit.groups else None)
    if chosen is None:
        _clear(r, found)
        return 0
    for group in _candidates(fit, chosen):
        try:
            _make_whole(r, found, group)
            if waits or not (_named(found, group) or group.aliases & served):
                _require_healthy(r, group)
            if group.routed and has_router(app):
                _route(r, found, group, router)
        except EngineGone:
            raise  # whoever called tries again
        except GitdeployError as error:
            output.line(f"{group.version} cannot serve: {error.reason}")
            continue
        _tidy(r, found, group)
        return group.release
    output.line("nothing of this app can serve; all of it was left as it is")
    return 0


def _router(r: Recovery, found: Found) -> Haproxy | None:
    """Return the router, running if nobody else holds the ports; its file says what it served last. None if there is none."""
    if not found.routers:
        return None
    router = Haproxy(r.engine, found.routers[0].id, router_settings(r.engine, r.app, found))
    running = found.routers[0].running
    if not running and any(map(serves_directly, everyone(g for g in found.groups if not g.routed))):
        return None
    try:
        if not running:
            router.start()
        router.look()
        router.mend()
    except (EngineError, StageFailed) as error:
        r.output.line(f"the router does not run: {error.reason}")
        return None
    return router


def _candidates(found: Found, chosen: Group) -> list[Group]:
    """Return what may serve, best first: what does, then what bears the name, then the oldest. Pure."""
    rest = [group for group in found.groups if group is not chosen]
    return [chosen, *sorted(rest, key=lambda group: not _named(found, group))]


def _named(found: Found, group: Group) -> bool:
    return found.named is not None and found.named in group


def _make_whole(r: Recovery, found: Found, group: Group) -> None:
    """Make all containers of the group run, on ports of their own if they have such. Raises EngineError."""
    if group.routed:
        for container in group.containers:
            if not container.running:
                r.engine.start(container.id)
    elif not all(map(serves_directly, group.containers)):
        r.output.line(f"{group.version} serves again")
        _free_the_ports(r, found, group)
        for container in group.containers:
            put_back(r.engine, r.app, container)


def _require_healthy(r: Recovery, group: Group) -> None:
    """For a group that never got requests: its release must have got as far as being healthy. Raises StageFailed."""
    image = r.engine.image(group.containers[0].image)
    if image is None:
        raise StageFailed("its image is no longer on the engine")
    check = check_of(r.app, image)
    for container in group.containers:
        Waiter(r.engine, NEVER, r.clock, lambda: "").wait(container.id, check, r.app.health)


def _free_the_ports(r: Recovery, found: Found, group: Group) -> None:
    """Stop whoever holds the ports that the group needs."""
    for router in find(r.engine, r.app):
        r.engine.stop(router.id, 0)
    others = [c for g in found.groups if not g.routed and g is not group for c in g.containers]
    stop_all(r.engine, others, r.app.stop_timeout)


def _route(r: Recovery, found: Found, group: Group, router: Haproxy | None) -> None:
    """Make the router send all requests to the group."""
    if router is None:
        r.output.line(f"a new router takes {group.version} to the ports")
        image = require_image(r.engine, r.app, found.routers, r.credentials, r.output)
        router = create(r.engine, r.app, router_settings(r.engine, r.app, found), image)
        free = partial(_free_the_ports, r, found, group)
        switch: ByWeight = ByStart(r.engine, r.app, router, r.clock, r.output, free=free)
    elif not carries(router.servers, group):
        r.output.line(f"all requests go to {group.version}")
        switch = ByWeight(router, r.app) if router.up_to_date else ByReload(router, r.app)
    else:
        settle(r.engine, r.app, router.container)
        return
    now = [c for c in (r.engine.container(c.id) for c in group.containers) if c]
    lead_to(switch, servers(r.app, now, FULL), r.clock, r.output)
    settle(r.engine, r.app, router.container)


def _tidy(r: Recovery, found: Found, group: Group) -> None:
    """Give the name to the group that serves and remove the rest; what is held for a way back stays."""
    first = r.engine.container(group.containers[0].id)
    if first:
        take_name(r.engine, r.app, first)
    hold = group.routed and hold_left(r.app, group, r.now()) > 0
    rest = [g for g in found.groups if g is not group and g.release and not (hold and _complete(g))]
    _remove(r, [*everyone(rest), *found.strays])
    if not (group.routed and has_router(r.app)):
        discard(r.engine, r.app)


def _complete(group: Group) -> bool:
    return group.routed and all(c.running for c in group.containers)


def _clear(r: Recovery, found: Found) -> None:
    """Remove what a deployment left that never got anything to serve; what gitdeploy did not make stays."""
    _remove(r, [*everyone(g for g in found.groups if g.release), *found.strays])
    discard(r.engine, r.app)


def _remove(r: Recovery, containers: list[Container]) -> None:
    containers = [c for c in containers if r.engine.container(c.id)]  # a scout goes with what is left of routers
    if containers:
        r.output.line(f"removing what was left over: {', '.join(c.name for c in containers)}")
    remove_all(r.engine, containers, r.app.stop_timeout)
