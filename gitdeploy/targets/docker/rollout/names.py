"""Who bears the app's own name: the first container of the release that serves."""

from __future__ import annotations

from itertools import count

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container
from gitdeploy.releases.release import ADOPTED, APP, RELEASE, REPLICA
from gitdeploy.targets.docker.ownership import name_problem
from gitdeploy.targets.router.takeover import rejoin


def take_name(engine: Engine, app: App, container: Container) -> None:
    """Give the app's name to this container; who had it gets another. One that is not the app's to take stays where it is."""
    holder = engine.container(app.container)
    if holder and (holder.id == container.id or name_problem(app, holder)):
        return
    if holder:
        _step_aside(engine, app, holder)
    engine.rename(container.id, app.container)


def _step_aside(engine: Engine, app: App, holder: Container) -> None:
    """Free the name. A container that gitdeploy did not make is stopped, and stays as it was otherwise."""
    if holder.labels.get(APP):
        engine.rename(holder.id, f"{app.container}.{holder.labels.get(RELEASE, '0')}.{holder.labels.get(REPLICA, '1')}")
        return
    engine.stop(holder.id, app.stop_timeout)
    rejoin(engine, app, holder)
    if holder.restart == "always":  # would start again with the engine and fight for the port
        engine.set_restart(holder.id, "unless-stopped")
    suffixes = (ADOPTED if number == 1 else f"{ADOPTED}.{number}" for number in count(1))
    kept = next(name for suffix in suffixes if not engine.container(name := app.container + suffix))
    engine.rename(holder.id, kept)
