"""recreate: stop the old container, start the new one on its ports; the old one comes back if the new one fails.

Everything that can be done beforehand is: the gap is the old container's stop, the new one's start and its first good answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitdeploy.engine.ports import port_holder
from gitdeploy.engine.types import Container, Engine, Output
from gitdeploy.errors import Cancelled, GitdeployError, StageFailed
from gitdeploy.release import APP, RELEASE, ROLE, VERSION
from gitdeploy.rollout.context import Outcome, Rollout

ADOPTED = ".before-gitdeploy"
"""Suffix of a container that somebody else made and whose place gitdeploy took; kept stopped, to be put back."""

RETIRED = ".old"
"""Suffix of a container whose successor was healthy; it is about to be removed."""


def recreate(r: Rollout) -> Outcome:
    """Brings the release live with an outage. On any failure the old container serves again before the error leaves."""
    app = r.release.app
    old = serving(r.engine, app.name, app.container)
    for container in old:
        if not container.labels.get(APP):
            r.output.line(f"adopting container {container.name}, which gitdeploy did not make ({container.image_ref})")
    require_free_ports(r, old)
    new = r.engine.create(r.spec())
    try:
        r.published()
        if r.cancel.is_set():
            raise Cancelled("cancelled before the switch")
    except BaseException:
        r.engine.remove(new, force=True)
        raise
    return _swap(r, old, new)


def _swap(r: Rollout, old: Sequence[Container], new: str) -> Outcome:
    app = r.release.app
    stopped_at = r.clock()
    try:
        for container in old:
            r.output.line(f"stopping {container.name} {version_of(container)}")
            r.engine.stop(container.id, app.stop_timeout)
        r.output.line(f"starting {app.container} {r.release.version}")
        r.engine.start(new)
        r.wait_healthy(new)
    except BaseException as error:
        _put_back(r, old, new, error)
        raise
    outage = r.clock() - stopped_at
    for container in old:
        if container.name == app.container:
            retire(r.engine, container)
    r.engine.rename(new, app.container)
    for container in old:
        if container.labels.get(APP):
            r.engine.remove(container.id, force=True)
    return Outcome(outage if old else None)


def serving(engine: Engine, app: str, name: str) -> list[Container]:
    """What runs for this app now: gitdeploy's own containers and router, and whoever bears the app's container name."""
    own = [c for c in engine.containers({APP: app}) if c.running or c.name == name]
    named = engine.container(name)
    if named and all(c.id != named.id for c in own):
        own.append(named)
    return own


def version_of(container: Container) -> str:
    """The version a container runs, for people."""
    return container.labels.get(VERSION) or container.image_ref


def require_free_ports(r: Rollout, old: Sequence[Container]) -> None:
    """Raises StageFailed if a port of the app is held by a container that will not be stopped for it."""
    others = [c for c in r.engine.containers({}, all=False) if c.id not in {o.id for o in old}]
    for port in r.release.app.publish:
        if holder := port_holder(others, port):
            reason = f"host port {port.host_port} is taken by container {holder.name} ({holder.image_ref})"
            raise StageFailed(reason, f"stop that container, or change `publish` of {r.release.app.name} in config.toml")


def retire(engine: Engine, container: Container) -> None:
    """Frees the name of a stopped container; one that gitdeploy did not make is kept under another name."""
    if container.labels.get(APP):
        engine.rename(container.id, f"{container.name}.{container.labels.get(RELEASE, '0')}{RETIRED}")
        return
    kept = container.name + ADOPTED
    engine.remove(kept, force=True)
    if container.restart == "always":  # would start again with the engine and fight for the port
        engine.set_restart(container.id, "unless-stopped")
    engine.rename(container.id, kept)


def _put_back(r: Rollout, old: Sequence[Container], new: str, error: BaseException) -> None:
    """Starts the old containers again; what fails at that is added to the log, for the first error is the one to show."""
    try:
        r.engine.remove(new, force=True)
        for container in old:
            if container.running:
                r.engine.start(container.id)
                r.output.line(f"{container.name} {version_of(container)} serves again")
    except GitdeployError as second:
        r.output.line(f"the old container could not be started again: {second.reason}")
        if isinstance(error, GitdeployError):
            error.hint = (
                f"the old container could not be started again ({second.reason}): run `docker start` by hand. {error.hint}"
            )


def recover_recreate(engine: Engine, app: str, name: str, output: Output, healthy: Callable[[Container], bool]) -> None:
    """After a crash: finishes the swap if the new container serves, else undoes it; removes what is left over.

    The old container bears the app's name until the new one was healthy, so the name tells how far the swap had come.

    Args:
        name: the app's container name.
        healthy: whether a running container gets healthy (may wait).
    """
    named = engine.container(name)
    others = [c for c in engine.containers({APP: app, ROLE: "app"}) if named is None or c.id != named.id]
    if not others:
        return
    if named is None or not named.running:
        successor = next((c for c in others if c.running), None)
        old = named or next((c for c in others if c.name.endswith(RETIRED)), None)
        if successor and healthy(successor):
            output.line(f"finishing what was interrupted: {version_of(successor)} takes the name {name}")
            if named:
                retire(engine, named)
            engine.rename(successor.id, name)
            others = engine.containers({APP: app, ROLE: "app"})
        elif old:
            output.line(f"undoing what was interrupted: {old.name} {version_of(old)} serves again")
            for container in others:
                if container.running:
                    engine.remove(container.id, force=True)
            engine.start(old.id)
            if named is None:
                engine.rename(old.id, name)
    serving_now = engine.container(name)
    for container in others:
        if serving_now is None or container.id != serving_now.id:
            engine.remove(container.id, force=True)
