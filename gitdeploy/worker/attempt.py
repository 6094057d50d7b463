"""One attempt at one deployment: from its first line on the console to its end in state.db."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gitdeploy.config import snapshot
from gitdeploy.config.model import Config
from gitdeploy.config.secretfile import values_in_files
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import Cancelled, EngineError, EngineGone, GitdeployError, NothingToDo, StageFailed, understood
from gitdeploy.intake.cancelling import CancelFlag, Reason
from gitdeploy.intake.push import PushRecord
from gitdeploy.pipeline.buildcache import cache_name
from gitdeploy.pipeline.deployment import Job, deploy, roll_back
from gitdeploy.pipeline.journal import Journal
from gitdeploy.pipeline.tools import Tools
from gitdeploy.releases.records import Deployment, Status
from gitdeploy.releases.state import State, StateUnfit
from gitdeploy.targets.docker.ownership import Here
from gitdeploy.targets.docker.rollout.context import Outcome
from gitdeploy.targets.docker.rollout.recovery import recover
from gitdeploy.terminal import console as log
from gitdeploy.terminal.console import Console
from gitdeploy.terminal.redact import Redactor, secrets_of, secrets_of_url
from gitdeploy.terminal.relay import Relay
from gitdeploy.worker import report
from gitdeploy.worker.afterwards import follow_up, harmless_failure
from gitdeploy.worker.limits import build_slot, require_space
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
class Attempt:
    """What an attempt is about.

    Attributes:
        row: the deployment as recorded so far.
        stop: the worker is to end, and to leave the deployment to the next run.
        engine: returns the engine, connected when it is asked for first.
        relay: to the pusher.
        redact: knows the secrets of this app.
        audited: writes the end into the audit log.
    """

    site: Site
    state: State
    record: PushRecord
    row: Deployment
    config: Config
    job: Job
    cancel: CancelFlag
    stop: CancelFlag
    engine: Callable[[], Engine]
    relay: Relay
    redact: Redactor
    audited: Callable[[Deployment], None]


class _LeftUndone(Cancelled):
    """Somebody cancelled while the engine was away: what the deployment left on it is put right by the next run."""


def attempt(a: Attempt) -> bool:
    """Deploys and records the end; returns False if it did not end: it was stopped, and is to be done by the next run."""
    a.state.update(a.row.id, status="running", started=a.site.now(), attempts=a.row.attempts + 1, error="", hint="")
    a.redact.add(secrets_of(a.job.app))
    a.redact.add(secrets_of_url(a.config.notify))
    a.redact.add(values_in_files(a.job.app))
    console = Console(a.site.log_path(a.job.app.name, a.row.id), a.config.server.log_size, a.site.clock, a.redact)
    console.attach(a.relay)
    try:
        with harmless_failure(a, "pointing latest.log at it"):
            a.site.point_latest_log(a.job.app.name, a.row.id)
        console.line(report.opening(a.row))
        if a.row.started is not None:
            console.line("    an earlier attempt was cut off; beginning again")
        return _end(a, console, _outlasting_the_engine(a, console))
    finally:
        console.close()
        with harmless_failure(a, "removing old logs"):
            a.site.drop_old_logs(a.job.app.name, a.config.server.log_keep)


def _outlasting_the_engine(a: Attempt, console: Console) -> Outcome | GitdeployError:
    """Runs the deployment. An engine that goes away is waited for; what it left is put right, and the deployment goes on."""
    result = _guarded(a, console)
    attempts = a.row.attempts + 1
    while isinstance(result, EngineGone) and attempts < MAX_ATTEMPTS and _was_connected(a):
        console.line(f"the Docker Engine went away ({result.reason}); waiting for it")
        try:
            if not _await_engine(a):
                return _LeftUndone("cancelled while waiting for the engine")
            console.line("the Docker Engine is back")
            if _put_right(a, console) == a.row.id:
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
        result = _guarded(a, console)
    return result


def _was_connected(a: Attempt) -> bool:
    """Whether the engine was there before; one that nobody has seen is not waited for."""
    try:
        a.engine()
    except GitdeployError:
        return False
    return True


def _await_engine(a: Attempt) -> bool:
    """Returns True when the engine answers again, False when the worker is to stop or somebody asked to cancel."""
    while not a.stop.is_set() and a.cancel.reason != "request":  # after a newer push there is still something to put right
        try:
            a.engine().info()
        except (EngineGone, EngineError):
            a.stop.wait(ENGINE_INTERVAL)
            continue
        return True
    return False


def _put_right(a: Attempt, console: Console) -> int:
    """Brings the app into order; returns the release that serves."""
    row = a.state.deployment(a.row.id)
    app = snapshot.load(row.config) if row else None
    credentials = a.redact.credentials(a.site.credentials(app or a.job.app))
    return recover(a.engine(), app or a.job.app, console, a.site.clock, credentials=credentials)


def _guarded(a: Attempt, console: Console) -> Outcome | GitdeployError:
    """Runs the deployment; every way it can fail comes back as a GitdeployError, a defect of gitdeploy too."""
    try:
        require_space(a.site, a.config.server.min_free)
        return _run(a, console)
    except StateUnfit:
        raise  # its end could not be recorded either
    except Exception as error:
        return _understood(a, error)


def _understood(a: Attempt, error: Exception) -> GitdeployError:
    if not isinstance(error, GitdeployError):
        log.crash(f"deployment {a.row.id} of {a.job.app.name}")
    return understood(error, str(a.site.home / "logs" / "gitdeploy.log"))


def _run(a: Attempt, console: Console) -> Outcome:
    journal = Journal(a.state, console, a.row.id, a.site.now, a.site.clock)
    tools = Tools(
        config=a.config,
        state=a.state,
        console=console,
        journal=journal,
        cancel=a.cancel,
        engine=a.engine,
        credentials=lambda app: a.redact.credentials(a.site.credentials(app)),
        cache_name=lambda app: cache_name(a.site.home, app.name),
        require_space=lambda engine: require_space(a.site, a.config.server.min_free, engine),
        build_slot=lambda: build_slot(a.site.spool, a.config.server.parallel, console, a.cancel),
        lfs=a.site.lfs,
        submodules=a.site.submodules,
        here=Here(a.site.container, (a.site.home, a.site.data)),
        open_repository=lambda path: a.site.readers.open(path, a.cancel.is_set),
        now=a.site.now,
        clock=a.site.clock,
    )
    if a.record.trigger != "rollback":
        return deploy(a.job, tools)
    target = a.state.deployment(a.record.release)
    if target is None or target.app != a.job.app.name:
        raise StageFailed(f"{a.job.app.name} has no deployment {a.record.release}", "see `gitdeploy history`")
    return roll_back(a.job, target, tools)


def _end(a: Attempt, console: Console, result: Outcome | GitdeployError) -> bool:
    """Records and tells how it ended; returns False if it did not, and is still to be done or to be put right."""
    if isinstance(result, Cancelled) and a.cancel.reason == "stop":
        a.state.update(a.row.id, attempts=a.row.attempts)  # a polite stop is no attempt
        console.line("gitdeploy is being stopped; this deployment is kept and done when it runs again")
        return False
    if isinstance(result, _LeftUndone):
        console.line(f"cancelled: {CANCELLED.get(a.cancel.reason, result.reason)}; the Docker Engine is away")
        console.line("    what this deployment left on it is put right by the first worker that finds the engine again")
        return False
    if isinstance(result, Cancelled):
        result.reason = CANCELLED.get(a.cancel.reason, result.reason)
    now = a.site.now()
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
    follow_up(a, console, result, row)
    return True


def _status(error: GitdeployError, cancel: CancelFlag) -> Status:
    if isinstance(error, NothingToDo):
        return "unchanged"
    if isinstance(error, Cancelled):
        return "superseded" if cancel.reason == "newer push" else "cancelled"
    return "failed"
