"""One attempt at one deployment: from its first line on the console to its end in state.db."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from gitdeploy.config import snapshot
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import values_in_files
from gitdeploy.engine.protocol import Builder, Engine
from gitdeploy.engine.proxies import passwords
from gitdeploy.engine.types import Credentials, EngineInfo
from gitdeploy.errors import Cancelled, EngineError, EngineGone, GitdeployError, NothingToDo, understood
from gitdeploy.intake.cancelling import CancelFlag, Reason
from gitdeploy.intake.push import PushRecord
from gitdeploy.pipeline.buildcache import cache_name
from gitdeploy.pipeline.deployment import deploy
from gitdeploy.pipeline.lefttasks import LeftTasks
from gitdeploy.pipeline.tools import Tools
from gitdeploy.releases.records import Deployment, Status
from gitdeploy.releases.state import StateUnfit
from gitdeploy.source.lfs import LfsStore
from gitdeploy.source.reader import RemoteRepository
from gitdeploy.source.sameserver import SameServer
from gitdeploy.targets.target import Outcome
from gitdeploy.terminal import console as log
from gitdeploy.terminal.redact import Redactor, secrets_of, secrets_of_url
from gitdeploy.worker import report
from gitdeploy.worker.afterwards import follow_up, harmless_failure
from gitdeploy.worker.limits import build_slot, require_space
from gitdeploy.worker.schedules import mark
from gitdeploy.worker.site import Site

MAX_ATTEMPTS = 3
"""How often a deployment is begun; one that brings the worker or the engine down every time is given up after that."""

ENGINE_INTERVAL = 0.25
"""Seconds between two looks whether the engine is back."""

CANCELLED: Mapping[Reason, str] = {
    "request": "`gitdeploy cancel` asked for it",
    "newer push": 'a newer push came, and on_new_push is "cancel"',
}


@dataclass(frozen=True)
class Attempt(Tools):
    """One attempt, and the tools of its deployment.

    Attributes:
        site: the installation.
        record: the push that asked for it.
        row: the deployment as recorded so far.
        stop: the worker is to end, and to leave the deployment to the next run.
        engine: returns the engine, connected when it is first asked for.
        redact: knows the secrets of this app.
        audited: writes the end into the audit log.
    """

    site: Site
    record: PushRecord
    row: Deployment
    stop: CancelFlag
    engine: Callable[[], Engine]
    redact: Redactor
    audited: Callable[[Deployment], None]

    @property
    def builder(self) -> Builder:
        """The engine."""
        return self.engine()

    def open_repository(self) -> RemoteRepository:
        """See `Tools`."""
        return self.site.readers.open(self.job.repository, self.cancel.is_set)

    def credentials(self, app: App) -> Credentials:
        """See `Tools`."""
        return self.redact.credentials(self.site.credentials(app))

    def proxies(self) -> Mapping[str, str]:
        """See `Tools`."""
        found = self.site.proxies()
        self.redact.add(passwords(found))
        return found

    def cache_name(self, app: App) -> str:
        """See `Tools`."""
        return cache_name(self.site.home, app.name)

    def require_space(self, engine: EngineInfo | None = None) -> None:
        """See `Tools`."""
        require_space(self.site, self.config.server.min_free, engine)

    def build_slot(self) -> AbstractContextManager[None]:
        """See `Tools`."""
        return build_slot(self.site.spool, self.config.server.parallel, self.console, self.cancel)

    def lfs(self) -> LfsStore | None:
        """See `Tools`."""
        server = self.site.git_server()
        return server.lfs if server else None

    def submodules(self) -> SameServer | None:
        """See `Tools`."""
        return self.site.submodules(self.job.repository)

    def now(self) -> float:
        """See `Tools`."""
        return self.site.now()

    def clock(self) -> float:
        """See `Tools`."""
        return self.site.clock()


class _LeftUndone(Cancelled):
    """Somebody cancelled while the engine was away: what the deployment left on it is put right by the next run."""


def attempt(a: Attempt) -> bool:
    """Deploy and record the end; return False if it did not end: it was stopped, and is to be done by the next run."""
    a.state.update(a.row.id, status="running", started=a.now(), attempts=a.row.attempts + 1, error="", hint="")
    mark(a.site.home)
    a.redact.add([*secrets_of(a.job.app), *secrets_of_url(a.config.notify), *values_in_files(a.job.app)])
    try:
        with harmless_failure(a, "pointing latest.log at it"):
            a.site.point_latest_log(a.job.app.name, a.row.id)
        a.console.line(report.opening(a.row))
        if a.row.started is not None:
            a.console.line("    an earlier attempt was cut off; beginning again")
        return _end(a, _outlasting_the_engine(a))
    finally:
        a.console.close()
        with harmless_failure(a, "removing old logs"):
            a.site.drop_old_logs(a.job.app.name, a.config.server.log_keep)


def _outlasting_the_engine(a: Attempt) -> Outcome | GitdeployError:
    """Run the deployment. An engine that goes away is waited for; what it left is put right, and the deployment goes on."""
    result = _guarded(a)
    attempts = a.row.attempts + 1
    while isinstance(result, EngineGone) and attempts < MAX_ATTEMPTS and _was_connected(a):
        a.console.line(f"the Docker Engine went away ({result.reason}); waiting for it")
        try:
            if not _await_engine(a):
                return _LeftUndone("cancelled while waiting for the engine")
            a.console.line("the Docker Engine is back")
            if _put_right(a) == a.row.id:
                return Outcome(None)
        except EngineGone as error:
            result = error
            continue
        except Exception as error:
            return _understood(a, error)
        if a.cancel.is_set():
            return Cancelled("cancelled while waiting for the engine")
        attempts += 1
        a.state.update(a.row.id, attempts=attempts)
        result = _guarded(a)
    return result


def _was_connected(a: Attempt) -> bool:
    """Return whether the engine was there before; one that nobody has seen is not waited for."""
    try:
        a.engine()
    except GitdeployError:
        return False
    return True


def _await_engine(a: Attempt) -> bool:
    """Return True when the engine answers again, False when the worker is to stop or somebody asked to cancel."""
    while not a.stop.is_set() and a.cancel.reason != "request":  # after a newer push there is still something to put right
        try:
            a.engine().ping()
        except (EngineGone, EngineError):
            a.stop.wait(ENGINE_INTERVAL)
            continue
        return True
    return False


def _put_right(a: Attempt) -> int:
    """Bring the app into order; return the release that serves."""
    row = a.state.deployment(a.row.id)
    app = (snapshot.load(row.config) if row else None) or a.job.app
    serves = a.target.recover(app, a.console, a.row.id)
    if serves == a.row.id:
        LeftTasks(a.state, a.target, a.console, a.now, a.cancel).end(serves, app, serves=True)
    return serves


def _guarded(a: Attempt) -> Outcome | GitdeployError:
    """Run the deployment; every way it can fail comes back as a GitdeployError, a defect of gitdeploy too."""
    try:
        a.require_space()
        return deploy(a)
    except StateUnfit:
        raise  # its end could not be recorded either
    except Exception as error:
        return _understood(a, error)


def _understood(a: Attempt, error: Exception) -> GitdeployError:
    if not isinstance(error, GitdeployError):
        log.crash(f"deployment {a.row.id} of {a.job.app.name}")
    return understood(error, str(a.site.home / "logs" / "gitdeploy.log"))


def _end(a: Attempt, result: Outcome | GitdeployError) -> bool:
    """Record and tell how it ended; return False if it did not, and is still to be done or to be put right."""
    if isinstance(result, Cancelled) and a.cancel.reason == "stop":
        a.state.update(a.row.id, attempts=a.row.attempts)  # a polite stop is no attempt
        a.console.line("gitdeploy is being stopped; this deployment is kept and done when it runs again")
        return False
    if isinstance(result, _LeftUndone):
        a.console.line(f"cancelled: {CANCELLED.get(a.cancel.reason, result.reason)}; the Docker Engine is away")
        a.console.line("    what this deployment left on it is put right by the first worker that finds the engine again")
        return False
    if isinstance(result, Cancelled):
        result.reason = CANCELLED.get(a.cancel.reason, result.reason)
    now = a.now()
    if isinstance(result, Outcome):
        a.state.end(a.row.id, "succeeded", finished=now, outage=result.outage, retained=1)
    else:
        a.state.end(
            a.row.id,
            _status(result, a.cancel),
            finished=now,
            error=result.reason,
            hint=result.hint,
            exit_code=result.exit_code,
            **({"stage": result.stage} if result.stage else {}),
        )
    row = a.state.deployment(a.row.id)
    assert row is not None
    follow_up(a, result, row)
    return True


def _status(error: GitdeployError, cancel: CancelFlag) -> Status:
    if isinstance(error, NothingToDo):
        return "unchanged"
    if isinstance(error, Cancelled):
        return "superseded" if cancel.reason == "newer push" else "cancelled"
    return "failed"
