"""Where the edge finds an app: its router, or the one container of a process that has none."""

from __future__ import annotations

from gitdeploy.config.checks import processes
from gitdeploy.config.model import App
from gitdeploy.edge.route import Upstream
from gitdeploy.engine.protocol import Engine
from gitdeploy.releases.release import APP
from gitdeploy.targets.router.container import network_name, router_name
from gitdeploy.targets.router.haproxycfg import LED
from gitdeploy.targets.swarm.services import overlay_name


def upstreams(app: App) -> tuple[Upstream, ...]:
    """Return where one process of a release answers for the app's domains, () if it was released without any."""
    if not app.led_to:
        return ()
    if app.target == "swarm":
        return (Upstream(overlay_name(app), router_name(app), LED),)
    if app.strategy == "recreate":
        return (Upstream(app.own_network, app.container, app.led_to),)
    return (Upstream(network_name(app), router_name(app), LED),)


def ensure_upstream_networks(engine: Engine, app: App) -> None:
    """Make the networks on which a release that is about to come will answer. Raises EngineError."""
    for part in processes(app):
        for upstream in upstreams(part):
            ensure = engine.cluster().ensure_overlay if app.target == "swarm" else engine.ensure_network
            ensure(upstream.network, {APP: app.name})
