"""A process that the new release does not have, or that is scaled to 0: it goes with the switch, and comes back on failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from gitdeploy.config.model import App, AppProcess
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container
from gitdeploy.releases.release import APP, RELEASE, ROLE, label_number, process_of
from gitdeploy.targets.docker.ownership import containers_of, releases_of
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.stopping import stop_all
from gitdeploy.targets.router.container import discard
from gitdeploy.targets.strategies.together import to_run
from gitdeploy.targets.target import Outcome
from gitdeploy.targets.undo import Undo


def without(app: App, process: str) -> App:
    """Return the app as a process has it of which only containers are known. Pure."""
    return replace(app, processes={process: AppProcess(replicas=0, stop_timeout=app.stop_timeout)}).of_process(process)


def leave(r: Rollout) -> Outcome:
    """Stop the process when the new release serves; `take_away` removes it once all others run."""
    running = [c for c in containers_of(r.engine, r.release.app) if c.running]
    undo = Undo(r.output)
    with undo.on_failure():
        r.require_published()
        undo.add("starting it again", partial(_start, r.engine, running), traffic=True)
        if running:
            r.output.line(f"stopping {', '.join(c.name for c in running)}: there is to be none of it")
        stop_all(r.engine, running, None)
        r.committed()
    return Outcome(None)


def start_again(engine: Engine, app: App) -> None:
    """Start a process that may have been stopped by `leave`. Raises EngineError."""
    _start(engine, containers_of(engine, app))


def _start(engine: Engine, containers: Sequence[Container]) -> None:
    for container in sorted(containers, key=lambda c: c.labels.get(ROLE) == "router"):  # which starts with its servers alone
        engine.start(container.id)


def take_away(engine: Engine, app: App) -> None:
    """Remove all of a process: containers, router and network. Raises EngineError."""
    containers = containers_of(engine, app)
    stop_all(engine, containers, None)
    for container in containers:
        engine.remove(container.id, force=True)
    discard(engine, app)


def to_leave(engine: Engine, app: App) -> tuple[App, ...]:
    """Return the app as those processes have it that the engine knows of and that are not to run."""
    there = {process_of(c.labels) for c in releases_of(engine, app)}
    return tuple(without(app, name) for name in sorted(there - {part.process for part in to_run(app)}))


def has_committed(engine: Engine, wanted: Sequence[App], release: int) -> bool:
    """Return whether all processes of an interrupted deployment ran: they give it their names, and destroy, only then."""
    named = [container for part in wanted if (container := engine.container(part.container))]
    return any(c.labels.get(APP) == wanted[0].name and label_number(c.labels, RELEASE) == release for c in named)
