"""What a worker finds of earlier runs: a deployment that was cut off, and an old release that blue-green holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitdeploy.config import snapshot
from gitdeploy.config.checks import processes
from gitdeploy.config.model import App
from gitdeploy.engine.types import Cancel
from gitdeploy.errors import GitdeployError, UnfitError, understood
from gitdeploy.intake.pushers import INTERVAL
from gitdeploy.pipeline.lefttasks import LeftTasks
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State
from gitdeploy.targets.target import Target
from gitdeploy.terminal import console as log
from gitdeploy.worker.attempt import CANCELLED
from gitdeploy.worker.site import Site


class Note:
    """An `Output` that goes to gitdeploy's own log: recovery has no pusher."""

    def __init__(self, app: str) -> None:
        self._app = app

    def line(self, text: str, *, detail: bool = False) -> None:
        """Note one or more lines."""
        log.note(f"{self._app}: {text}")

    def progress(self, key: str, text: str) -> None:
        """Do nothing: nobody looks."""


def apps_that_hold(state: State) -> frozenset[str]:
    """Return the apps that blue-green may keep an old release for: one that was to go while no worker ran is still there."""
    return frozenset(app for app in state.apps() if holding(state.live(app)))


def holding(live: Deployment | None) -> App | None:
    """Return the configuration of what is live, if that says to hold the release before it."""
    app = snapshot.load(live.config) if live else None
    held = app and any(part.strategy == "blue-green" and part.hold for part in processes(app))
    return app if held else None


def hold(site: Site, app: App, target: Target, came: Callable[[], bool], stop: Cancel) -> bool:
    """Stay while blue-green keeps the old release, and remove that after it.

    Args:
        app: the configuration of what is live.
        came: whether a push waits, which ends the stay.

    Returns:
        whether a push came.
    """
    try:
        while left := target.settle(app, Note(app.name)):
            until = site.clock() + left
            while site.clock() < until:
                if came():
                    return True
                if stop.wait(INTERVAL):
                    return False
    except GitdeployError as error:
        log.note(f"{app.name}: what was held is left to the next deployment: {error.reason}")
    return False


def put_right(
    site: Site,
    state: State,
    name: str,
    interrupted: Sequence[Deployment],
    target: Target,
) -> list[Deployment]:
    """After a crash: bring the engine into order and tell the history what became of the deployment.

    Args:
        interrupted: deployments of the app that began and did not end, newest first; one whose record waits is done again,
            unless it was cancelled, and goes on with its own tasks.

    Returns:
        the deployments that have ended by this.

    Raises:
        UnfitError: the engine does not answer; the next run tries again.
    """
    serves, problem = 0, ""
    app = snapshot.load(interrupted[0].config) or _configured(site, name)
    if app:
        try:
            serves = target.recover(app, Note(name), interrupted[0].id)
        except UnfitError:
            raise
        except Exception as error:  # what one deployment left must not stop all that come after it
            log.crash(f"{name}: what deployment {interrupted[0].id} left could not be put right")
            problem = understood(error, str(site.home / "logs" / "gitdeploy.log")).reason
    waiting = site.spool.names()
    for row in interrupted:
        now = site.now()
        state.end_stages(row.id)
        if row.id == serves:
            state.end(row.id, "succeeded", finished=now, retained=1)
        elif site.spool.cancels.asked(name, row.id):
            state.end(row.id, "cancelled", finished=now, exit_code=1, error=CANCELLED["request"])
        elif row.record not in waiting:
            undone = f"what it left could not be put right: {problem}" if problem else "undone"
            state.end(row.id, "failed", finished=now, exit_code=1, error=f"interrupted, and {undone}")
    return [row for row in (state.deployment(row.id) for row in interrupted) if row and row.ended]


def end_tasks(left: LeftTasks, site: Site, name: str, interrupted: Sequence[Deployment]) -> None:
    """After `put_right`: look after the tasks of deployments that have ended by that; one that is done again needs its own.

    Raises:
        EngineGone: whoever deploys next does it.
    """
    app = snapshot.load(interrupted[0].config) or _configured(site, name)
    if app is None:
        return
    for row in (left.state.deployment(row.id) for row in interrupted):
        if row and row.ended:
            left.end(row.id, snapshot.load(row.config) or app, serves=row.status == "succeeded")
    left.clear(app)


def _configured(site: Site, name: str) -> App | None:
    """Return the app as the config has it: the deployment was cut off before it had a configuration of its own."""
    try:
        return site.load_config(name).apps.get(name)
    except GitdeployError:
        return None  # then it had not come to the engine yet
