"""What follows the end of a deployment that is on record: audit, prune, a last word to the pusher, notify.

Nothing here changes how the deployment ended, whatever goes wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gitdeploy.config import snapshot
from gitdeploy.errors import GitdeployError, NothingToDo
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.retention import Freed, prune
from gitdeploy.targets.target import Outcome
from gitdeploy.terminal import console as log
from gitdeploy.worker import report
from gitdeploy.worker.notify import notify

if TYPE_CHECKING:
    from gitdeploy.worker.attempt import Attempt

HISTORY = 1000
"""Deployments that a prune looks at."""


@contextmanager
def harmless_failure(a: Attempt, what: str) -> Iterator[None]:
    """Run the block; whatever it raises is noted and goes no further."""
    try:
        yield
    except Exception:
        log.crash(f"deployment {a.row.id} of {a.job.app.name}: {what} failed; the deployment is not affected")


def follow_up(a: Attempt, result: Outcome | GitdeployError, row: Deployment) -> None:
    """Do what comes after the end that is on record: audit, prune, a last word to the pusher, notify."""
    with harmless_failure(a, "the audit log"):
        a.audited(row)
    if isinstance(result, Outcome):
        with harmless_failure(a, "Prune"):
            _prune(a, row)
    with harmless_failure(a, "telling its end"):
        _tell(a, result, row)
    with harmless_failure(a, "notify"):
        notify(a.config.notify, row, log.note, a.redact)


def _prune(a: Attempt, row: Deployment) -> None:
    """Remove what is no longer needed for a rollback; a failure is told and changes nothing."""
    try:
        app = snapshot.load(row.config) or a.job.app
        a.target.sweep(app, a.console)
        freed = prune(
            a.builder,
            app,
            a.state.history(app.name, HISTORY),
            used=a.target.images_in_use(),
            forget=a.state.forget,
            output=a.console,
        )
    except GitdeployError as error:
        a.console.line(f"old releases could not be removed: {error.reason}")
    else:
        if freed != Freed():
            a.console.line(f"==> Prune: {freed}")


def _tell(a: Attempt, result: Outcome | GitdeployError, row: Deployment) -> None:
    if isinstance(result, Outcome):
        seconds = (row.finished or 0.0) - (row.started or 0.0)
        host = a.config.server.host or a.site.host
        a.console.line(report.success(a.job.app, row.version, host, seconds, result))
        if row.error:
            a.console.line(f"    warning: {row.error}")
    elif isinstance(result, NothingToDo):
        a.console.line(f"gitdeploy: nothing to deploy: {result.reason}")
    else:
        live = a.state.live(row.app)
        lost = live is not None and result.stage == "Deploy" and not _serves(a, live)
        for line in report.failure(result, row, live, lost=lost):
            a.console.line(line)


def _serves(a: Attempt, live: Deployment) -> bool:
    """Return whether anything of the app serves, by what the engine says: bringing back the old release may have failed too."""
    try:
        return a.target.serving(snapshot.load(live.config) or a.job.app) != 0
    except GitdeployError:
        return False
