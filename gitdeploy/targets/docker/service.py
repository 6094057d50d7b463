"""Taking an app out of service and bringing it back: its containers stay, and whether they start with the engine changes.

`docker stop` would be undone when the engine starts again: an app's restart policy is "always" unless its configuration says
something else, for with "unless-stopped" the engine takes its own crash for a wish (see `router.container.RESTART`).
"""

from __future__ import annotations

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.releases.release import APP
from gitdeploy.targets.docker.rollout.found import everyone, look
from gitdeploy.targets.docker.rollout.stopping import stop_all
from gitdeploy.targets.docker.router.container import RESTART

NEVER = "no"


def take_out(engine: Engine, app: App) -> None:
    """Stop an app's router and its containers, and have none of them started again. Raises EngineError."""
    found = look(engine, app)
    containers = [c for c in everyone(found.groups) if c.labels.get(APP)]
    for container in (*found.routers, *containers):
        engine.set_restart(container.id, NEVER)
    stop_all(engine, [c for c in (*found.routers, *containers) if c.running], app.stop_timeout)


def let_run(engine: Engine, app: App) -> None:
    """Have an app's containers start with the engine again, as its configuration says, and those behind a router at once.

    A router that finds none of its servers does not start, and is waited for in vain. Raises EngineError.
    """
    found = look(engine, app)
    wanted = [(router, RESTART) for router in found.routers] + [(c, app.restart) for c in everyone(found.groups)]
    for container, policy in wanted:
        if container.restart == NEVER != policy:
            engine.set_restart(container.id, policy)
    for group in found.groups:
        for container in group.containers if group.routed else ():
            engine.start(container.id)
