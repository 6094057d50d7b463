"""Which release serves, as the router or a container's own ports tell."""

from __future__ import annotations

from contextlib import suppress

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import GitdeployError
from gitdeploy.targets.check import Check, check_of
from gitdeploy.targets.docker.rollout.found import Found, Group, active, look, room, serving
from gitdeploy.targets.router.haproxy import Haproxy
from gitdeploy.targets.router.haproxycfg import Settings, settings


def serving_release(engine: Engine, app: App) -> int:
    """Return the release that serves; 0 for none, or one of somebody else's."""
    group = serving_group(engine, app)
    return group.release if group and any(c.running for c in group.containers) else 0


def serving_group(engine: Engine, app: App) -> Group | None:
    """Return the group that serves, or served last."""
    return serving_now(engine, app, look(engine, app))[0]


def serving_now(engine: Engine, app: App, found: Found) -> tuple[Group | None, Haproxy | None]:
    """Return the group that serves, and the router if it answers; nothing is started for it."""
    router = None
    with suppress(GitdeployError):
        if found.routers and found.routers[0].running:
            candidate = Haproxy(engine, found.routers[0].id, router_settings(engine, app, found))
            candidate.look()
            router = candidate
    return serving(found, active(router.servers) if router else ()), router


def router_settings(engine: Engine, app: App, found: Found) -> Settings:
    """Return the router's settings, with the check that the newest release has."""
    image = engine.image(found.groups[-1].containers[0].image) if found.groups else None
    return settings(app, check_of(app, image) if image else Check("uptime"), room(app, found))
