"""Which release serves, and the one before it that blue-green keeps running for a while."""

from __future__ import annotations

from contextlib import suppress

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Output
from gitdeploy.errors import GitdeployError
from gitdeploy.targets.docker.health import Check, pick
from gitdeploy.targets.docker.rollout.found import Found, Group, active, everyone, look, room, serving, started_at
from gitdeploy.targets.docker.rollout.stopping import remove_all
from gitdeploy.targets.docker.router.haproxy import Haproxy
from gitdeploy.targets.docker.router.haproxycfg import Settings, settings


def serving_release(engine: Engine, app: App) -> int:
    """Return the release that serves, as the router or a container's own ports tell; 0 for none, or one of somebody else's."""
    group, _ = serving_now(engine, app, look(engine, app))
    return group.release if group and any(c.running for c in group.containers) else 0


def release_held(engine: Engine, app: App, output: Output, now: float) -> float:
    """Remove the old release that blue-green kept for `hold`, once that time is over.

    Args:
        now: seconds since the epoch.

    Returns:
        seconds until it is due, 0.0 if none is held.
    """
    found = look(engine, app)
    if sum(group.routed for group in found.groups) < 2:
        return 0.0
    live, router = serving_now(engine, app, found)
    if live is None:
        return 0.0
    left = hold_left(app, live, now)
    if left > 0:
        return left
    if router:
        router.apply([server for server in router.servers if server.alias in live.aliases])
    held = [group for group in found.groups if group.routed and group is not live]
    output.line(f"no longer kept: {', '.join(group.version for group in held)}")
    remove_all(engine, list(everyone(held)), app.stop_timeout)
    return 0.0


def serving_now(engine: Engine, app: App, found: Found) -> tuple[Group | None, Haproxy | None]:
    """Return the group that serves, and the router if it answers; nothing is started for it."""
    router = None
    with suppress(GitdeployError):
        if found.routers and found.routers[0].running:
            candidate = Haproxy(engine, found.routers[0].id, router_settings(engine, app, found))
            candidate.look()
            router = candidate
    return serving(found, active(router.servers) if router else ()), router


def hold_left(app: App, live: Group, now: float) -> float:
    """Return seconds for which the release before `live` is still to be kept; counted from the start of the live one. Pure."""
    return max(map(started_at, live.containers), default=0.0) + app.hold - now if app.strategy == "blue-green" else 0.0


def router_settings(engine: Engine, app: App, found: Found) -> Settings:
    """Return the router's settings, with the check that the newest release has."""
    image = engine.image(found.groups[-1].containers[0].image) if found.groups else None
    return settings(app, pick(app.health, image, app.publish) if image else Check("uptime"), room(app, found))
