"""Containers for one command each: what one is made of, and what is left of those of people that nobody waits for.

The engine removes a person's container when its command ends. So one that was cut off from gitdeploy goes by itself, and one
that still runs is nobody's to end: it survives deployments, and keeps the image that it runs on.

Tasks and runs of schedules: see `taskcontainer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Literal

from gitdeploy.config.model import App
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import EMPTY
from gitdeploy.engine.protocol import CommandSession, Engine
from gitdeploy.engine.types import ENDED, Attended, Container, ContainerSpec, Output
from gitdeploy.errors import EngineGone
from gitdeploy.releases.release import APP, ONE_OFF, RELEASE, target_label

Kind = Literal["run", "task", "schedule"]
"""For a person's `gitdeploy run`, for a task of a deployment, or for a run of a schedule."""

FRESH = 60.0
"""Seconds in which a container that is not started yet may be somebody's who is about to."""


def one_off(
    app: App,
    release: int,
    image: str,
    env: Mapping[str, str],
    command: Sequence[str],
    *,
    name: str,
    kind: Kind,
    run: Run | None = None,
    labels: Mapping[str, str] = EMPTY,
    attended: Attended | None = None,
) -> ContainerSpec:
    """Return the container for one command: as the app's own, but without what leads requests or other containers to it. Pure.

    Args:
        release: number of the release that it belongs to.
        image: its id.
        env: the release's whole environment.
        command: takes the place of the image's CMD, behind its ENTRYPOINT.
        name: of the container.
        run: options of `docker run`, those that the app's other containers have if left out.
        labels: more of them, `releases.release.TASK` for example.
        attended: how somebody is attached, for one that is to go when its command ends.
    """
    return ContainerSpec(
        name=name,
        image=image,
        env=env,
        command=tuple(command),
        volumes=app.volumes,
        networks=app.joined,
        labels={**labels, APP: app.name, RELEASE: str(release), ONE_OFF: kind, **target_label(app)},
        stop_timeout=app.stop_timeout,
        # Labels, too, can lead requests to it: some proxies go by them.
        run=replace(run or app.run.shared, labels=EMPTY),
        attended=attended,
    )


@contextmanager
def running(engine: Engine, spec: ContainerSpec) -> Iterator[CommandSession]:
    """Yield the command of a `one_off`, which runs; its container is gone when this leaves. Raises EngineError."""
    try:
        created = engine.create(spec)
    except Exception:
        raise
    except BaseException:  # Ctrl-C: the engine may have made it
        engine.remove(spec.name, force=True)
        raise
    try:
        with engine.attend(created, spec.attended or Attended()) as session:
            yield session
    finally:
        with suppress(EngineGone):  # then the engine removes it when it is back
            engine.remove(created, force=True)


def sweep(engine: Engine, app: App, output: Output, now: float) -> None:
    """Remove what is left of an app's commands that nobody waits for. Call it under the app's lock. Raises EngineError.

    Takes seconds since the epoch.
    """
    left = [c for c in engine.containers({APP: app.name, ONE_OFF: "run"}) if abandoned(c, now)]
    if left:
        output.line(f"removing what was left of commands: {', '.join(c.name for c in left)}")
    for container in left:
        engine.remove(container.id, force=True)


def abandoned(container: Container, now: float) -> bool:
    """Return whether nobody waits for a container of a person's command: it has ended, or was never started. Pure."""
    if container.state in ENDED:
        return True
    made = datetime.fromisoformat(container.created).timestamp() if container.created else 0.0
    return container.state == "created" and now - made > FRESH
