"""Taking the ports of containers that publish them themselves, without waiting for their stop, and giving them back.

A container that is taken off its networks loses its host ports at once and gets them again when it is put back; it runs all the
while. So whoever follows need not wait for its `stop_timeout`, and a failure costs no start.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container
from gitdeploy.errors import EngineError, StageFailed
from gitdeploy.releases.release import APP
from gitdeploy.targets.undo import attempts

BRIDGE = "bridge"
"""Docker's default network, which knows no aliases."""


def serves_directly(container: Container) -> bool:
    """Return whether a container with ports of its own can be reached: it runs, and is on its networks. Pure."""
    return container.running and bool(container.addresses or not container.publish)


def memberships(app: App, container: Container) -> dict[str, tuple[str, ...]] | None:
    """Return the networks of a container with ports, with its aliases there; None if it cannot be put back there. Pure."""
    if container.addressed or app.run.mac_address:
        return None  # addresses given by hand would be lost
    if container.labels.get(APP):
        names = app.joined or (BRIDGE,)
        own = (app.container, *app.run.network_aliases)
        return {name: own if app.joined and name == names[0] else () for name in names}
    return {BRIDGE: ()} if set(container.addresses) <= {BRIDGE} else None


def free_ports(engine: Engine, app: App, containers: Iterable[Container]) -> None:
    """Make containers give up the ports they publish."""
    for container in containers:
        if not (container.running and container.publish):
            continue
        if memberships(app, container) is None:
            engine.stop(container.id, app.stop_timeout)
        else:
            for network in container.addresses:
                engine.disconnect(network, container.id)


def rejoin(engine: Engine, app: App, container: Container) -> None:
    """Put a container back on its networks, if `free_ports` took it off them; it has its ports again as soon as it runs."""
    now = engine.container(container.id)
    if now is None or (now.running and serves_directly(now)):
        return
    for network, aliases in (memberships(app, container) or {}).items():
        try:
            engine.connect(network, container.id, aliases)
        except EngineError as error:
            if "already exists in network" not in error.reason:  # a stopped container does not show where it is
                raise


def put_back(engine: Engine, app: App, container: Container) -> None:
    """Make a container serve again as it did before it was stopped, or lost its ports. Raises StageFailed."""
    if failed := attempts(partial(rejoin, engine, app, container), partial(engine.start, container.id)):
        raise StageFailed("; ".join(failed))


def let_go(engine: Engine, app: App, container: str) -> None:
    """End a container that is to go, so that its ports are free at once; one that cannot be ended loses its networks."""
    try:
        engine.stop(container, 0)
    except EngineError:
        if found := engine.container(container):
            free_ports(engine, app, [found])
