"""Taking an app out of service and bringing it back: its containers stay, and whether they start with the engine changes.

`docker stop` would be undone when the engine starts again: an app's restart policy is "always" unless its configuration says
something else, for with "unless-stopped" the engine takes its own crash for a wish (see `engine.types.PERISHABLE`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import ENDED, LASTING, PERISHABLE, Container, Output
from gitdeploy.errors import EngineGone, GitdeployError
from gitdeploy.releases.release import APP
from gitdeploy.targets.docker.rollout.found import Found, Group, everyone, look
from gitdeploy.targets.docker.rollout.stopping import stop_all
from gitdeploy.targets.router.container import has_router

NEVER = "no"

STILL = ("created", *ENDED)
"""States of a container that nobody is starting."""


def take_out(engine: Engine, parts: Sequence[App]) -> None:
    """Take processes of an app out of service, side by side: each may take all of its stop_timeout.

    Raises GitdeployError with all that failed, once the others are stopped.
    """

    def stop(part: App) -> GitdeployError | None:
        try:
            _take_out(engine, part)
        except GitdeployError as error:
            error.reason = f"process {part.process}: {error.reason}" if len(parts) > 1 else error.reason
            return error
        return None

    with ThreadPoolExecutor(max(1, len(parts)), "process") as pool:
        errors = [error for error in pool.map(stop, parts) if error]
    if errors:
        decisive = next((error for error in errors if isinstance(error, EngineGone)), errors[0])
        decisive.reason = "; ".join(error.reason for error in errors)
        raise decisive


def _take_out(engine: Engine, app: App) -> None:
    """Stop the router and the containers of one process, and have none of them started again. Raises EngineError."""
    found = look(engine, app)
    containers = [c for c in everyone(found.groups) if c.labels.get(APP)]
    for container in (*found.routers, *containers):
        engine.set_restart(container.id, NEVER)
    stop_all(engine, [c for c in (*found.routers, *containers) if c.running], app.stop_timeout)


def let_run(engine: Engine, app: App, output: Output) -> None:
    """Have an app's containers start with the engine again, as its configuration says, and those behind a router at once.

    A router that finds none of its servers does not start, and is waited for in vain. Raises EngineError.
    """
    found = look(engine, app)
    for container, policy in _wanted(app, found):
        if container.restart == NEVER != policy:
            engine.set_restart(container.id, policy)
    renew_policies(engine, app, found, output)
    for group in found.groups:
        for container in group.containers if group.routed else ():
            engine.start(container.id)


def renew_policies(engine: Engine, app: App, found: Found, output: Output) -> None:
    """Give containers that a crash of the engine would leave down the policy that they should have. Raises EngineError."""
    for container, policy in _wanted(app, found):
        if container.restart == PERISHABLE != policy and container.labels.get(APP):
            engine.set_restart(container.id, policy)
            why = f"with {PERISHABLE} it would stay down after a crash of the engine"
            output.line(f"{container.name} has the restart policy {policy} now: {why}")


def standing_still(app: App, found: Found, group: Group | None) -> list[str]:
    """Return the names of containers that should run and that nobody is starting. Pure.

    Only of an app that is always to run: what another policy left down may have ended by itself, or been stopped by a person.

    Args:
        app: its `restart` is what config.toml says now.
        group: what serves, or served last.
    """
    if group is None or app.restart != LASTING:
        return []
    down = [container.name for container in group.containers if container.state in STILL]
    if group.routed and has_router(app) and not any(router.state not in STILL for router in found.routers):
        down.append(next((router.name for router in found.routers), "its router"))
    return down


def _wanted(app: App, found: Found) -> Iterator[tuple[Container, str]]:
    """Yield an app's containers, each with the policy that it should have."""
    yield from ((router, LASTING) for router in found.routers)
    yield from ((container, app.restart) for container in everyone(found.groups))
