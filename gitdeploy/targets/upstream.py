"""Where the edge finds an app: its router, or the one container of a process that has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gitdeploy.config.checks import processes
from gitdeploy.config.model import App, Config
from gitdeploy.edge.boxedge import BoxEdge
from gitdeploy.edge.route import Upstream
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Credentials
from gitdeploy.releases.release import APP
from gitdeploy.releases.state import State
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


def box_edge(
    home: Path,
    config: Config,
    state: State,
    engine: Callable[[], Engine],
    credentials: Callable[[App], Credentials],
    *,
    now: Callable[[], float],
    clock: Callable[[], float],
) -> BoxEdge:
    """Return the edge of an installation; see `BoxEdge`.

    Args:
        home: gitdeploy's.
        config: all of config.toml.
    """
    return BoxEdge(
        home=home / "edge",
        config=config,
        state=state,
        engine=engine,
        credentials=lambda: credentials(App("", "", "")),
        upstreams=upstreams,
        make_ready=ensure_upstream_networks,
        now=now,
        clock=clock,
    )


def ensure_upstream_networks(engine: Engine, app: App) -> None:
    """Make the networks on which a release that is about to come will answer. Raises EngineError."""
    for part in processes(app):
        for upstream in upstreams(part):
            ensure = engine.cluster().ensure_overlay if app.target == "swarm" else engine.ensure_network
            ensure(upstream.network, {APP: app.name})
