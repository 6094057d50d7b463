"""The release before the one that serves, which blue-green keeps running for a while."""

from __future__ import annotations

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Output
from gitdeploy.targets.docker.rollout.found import Group, everyone, look, started_at
from gitdeploy.targets.docker.rollout.serving import serving_now
from gitdeploy.targets.docker.rollout.stopping import remove_all


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


def hold_left(app: App, live: Group, now: float) -> float:
    """Return seconds for which the release before `live` is still to be kept; counted from the start of the live one. Pure."""
    return max(map(started_at, live.containers), default=0.0) + app.hold - now if app.strategy == "blue-green" else 0.0
