"""One attempt at one deployment: from its first line on the console to its end in state.db."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gitdeploy import console as log
from gitdeploy import report
from gitdeploy.cancel import CancelFlag, Reason
from gitdeploy.config import snapshot
from gitdeploy.config.model import Config
from gitdeploy.console import Console
from gitdeploy.deploy import Job, deploy, roll_back
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import Cancelled, EngineError, EngineGone, GitdeployError, NothingToDo, StageFailed
from gitdeploy.journal import Journal
from gitdeploy.limits import build_slot, require_space
from gitdeploy.notify import notify
from gitdeploy.push import PushRecord
from gitdeploy.records import Deployment, Status
from gitdeploy.relay import Relay
from gitdeploy.retention import Freed, prune
from gitdeploy.rollout.context import Outcome
from gitdeploy.rollout.recovery import recover, serving_release
from gitdeploy.site import Site
from gitdeploy.state import State
from gitdeploy.tools import Tools

MAX_ATTEMPTS = 3
"""How often a deployment is begun; one that brings the worker or the engine down every time is given up after that."""

ENGINE_INTERVAL = 0.25
"""Seconds between two looks whether the engine is back."""

HISTORY = 1000
"""Deployments that a prune looks at."""


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


def attempt(a: Attempt) -> bool:
    """Deploys and records the end; returns False if it did not end: it was stopped, and is to be done by the next run."""
    a.state.update(a.row.id, status="running", started=a.site.now(), attempts=a.row.attempts + 1, error="", hint="")
    path = a.site.log_path(a.job.app.name, a.row.id)
    console = Console(path, a.config.server.log_size, a.site.clock)
    console.attach(a.relay)
    a.site.point_latest_log(a.job.app.name, a.row.id)
    try:
        console.line(report.opening(a.row))
        if a.row.attempts:
            console.line("    an earlier attempt was cut off; beginning again")
        return _end(a, console, _outlasting_the_engine(a, console))
    finally:
        console.close()
        a.site.drop_old_logs(a.job.app.name, a.config.server.log_keep)


def _outlasting_the_engine(a: Attempt, console: Console) -> Outcome | GitdeployError:
    """Runs the deployment. An engine that goes away is waited for; what it left is put right, and the deployment goes on."""
    result = _guarded(a, console)
    attempts = a.row.attempts + 1
    while isinstance(result, EngineGone) and attempts < MAX_ATTEMPTS and _was_connected(a):
        console.line(f"the Docker Engine went away ({result.reason}); waiting for it")
        try:
            if not _await_engine(a):
                return Cancelled("stopped while waiting for the engine")
            console.line("the Docker Engine is back")
            if _put_right(a, console) == a.row.id:
                return Outcome(None)
        except EngineGone as error:
            result = error
            continue
        except GitdeployError as error:
            return error
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
    """Returns True when the engine answers again, False when the worker is to stop."""
    while not a.stop.wait(ENGINE_INTERVAL):
        try:
            a.engine().info()
        except (EngineGone, EngineError):
            continue
        return True
    return False


def _put_right(a: Attempt, console: Console) -> int:
    """Brings the app into order; returns the release that serves."""
    row = a.state.deployment(a.row.id)
    app = snapshot.load(row.config) if row else None
    return recover(a.engine(), app or a.job.app, console, a.site.clock)


def _guarded(a: Attempt, console: Console) -> Outcome | GitdeployError:
    """Runs the deployment; every way it can fail comes back as a GitdeployError, a defect of gitdeploy too."""
    try:
        require_space(a.site, a.config.server.min_free)
        return _run(a, console)
    except GitdeployError as error:
        return error
    except Exception as error:
        log.crash(f"deployment {a.row.id} of {a.job.app.name}")
        reason = f"gitdeploy itself failed ({type(error).__name__})"
        return StageFailed(reason, f"the traceback is in {a.site.home / 'logs' / 'gitdeploy.log'}: please report it")


def _run(a: Attempt, console: Console) -> Outcome:
    journal = Journal(a.state, console, a.row.id, a.site.now, a.site.clock)
    tools = Tools(
        config=a.config,
        state=a.state,
        console=console,
        journal=journal,
        cancel=a.cancel,
        engine=a.engine,
        credentials=a.site.credentials,
        build_slot=lambda: build_slot(a.site.spool, a.config.server.parallel, console, a.cancel),
        lfs=a.site.lfs,
        submodules=a.site.submodules,
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
    """Records and tells how it ended; returns False for a stop, after which the deployment is still to be done."""
    now = a.site.now()
    if isinstance(result, Cancelled) and a.cancel.reason == "stop":
        console.line("gitdeploy is being stopped; this deployment is kept and done when it runs again")
        return False
    if isinstance(result, Cancelled):
        result.reason = CANCELLED.get(a.cancel.reason, result.reason)
    if isinstance(result, Outcome):
        a.state.end(a.row.id, "succeeded", finished=now, outage=result.outage, retained=1)
    else:
        a.state.end(
            a.row.id,
            _status(result, a.cancel),
            finished=now,
            error=console.redact(result.reason),
            hint=console.redact(result.hint),
            exit_code=result.exit_code,
            **({"stage": result.stage} if result.stage else {}),
        )
    row = a.state.deployment(a.row.id)
    assert row is not None
    if isinstance(result, Outcome):
        _prune(a, console, row)
    _tell(a, console, result, row)
    notify(a.config.notify, row, log.note)
    return True


def _prune(a: Attempt, console: Console, row: Deployment) -> None:
    """Removes what is no longer needed for a rollback; a failure is told and changes nothing."""
    try:
        app = snapshot.load(row.config) or a.job.app
        freed = prune(a.engine(), app, a.state.history(app.name, HISTORY), a.state.forget, console)
    except GitdeployError as error:
        console.line(f"old releases could not be removed: {error.reason}")
    else:
        if freed != Freed():
            console.line(f"==> Prune: {freed}")


def _status(error: GitdeployError, cancel: CancelFlag) -> Status:
    if isinstance(error, NothingToDo):
        return "unchanged"
    if isinstance(error, Cancelled):
        return "superseded" if cancel.reason == "newer push" else "cancelled"
    return "failed"


def _tell(a: Attempt, console: Console, result: Outcome | GitdeployError, row: Deployment) -> None:
    if isinstance(result, Outcome):
        seconds = (row.finished or 0.0) - (row.started or 0.0)
        host = a.config.server.host or a.site.host
        console.line(report.success(a.job.app, row.version, host, seconds, result.outage))
    elif isinstance(result, NothingToDo):
        console.line(f"gitdeploy: nothing to deploy: {result.reason}")
    else:
        live = a.state.live(row.app)
        lost = live is not None and result.stage == "Deploy" and not _serves(a, live)
        for line in report.failure(result, row, live, lost=lost):
            console.line(line)


def _serves(a: Attempt, live: Deployment) -> bool:
    """Whether anything of the app serves, by what the engine says: bringing back the old release may have failed too."""
    try:
        return serving_release(a.engine(), snapshot.load(live.config) or a.job.app) != 0
    except GitdeployError:
        return False
