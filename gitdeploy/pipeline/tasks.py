"""The steps that run an app's tasks, and what is told of those of other deployments.

That one is about to begin, and how it ended, is on record before and after; its container stays until then. So an attempt that
follows a crash neither runs one again that finished nor takes one for finished that was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from gitdeploy.config.model import App
from gitdeploy.errors import Cancelled, EngineGone, GitdeployError, StageFailed
from gitdeploy.pipeline.environment import environment
from gitdeploy.pipeline.lefttasks import LeftTasks, not_known
from gitdeploy.pipeline.plan import Running, Step
from gitdeploy.pipeline.way import Way
from gitdeploy.releases.records import TaskRecord
from gitdeploy.releases.state import StateUnfit
from gitdeploy.targets.errand import Errand, TaskEnd

SHOWN = 5
"""Migrations that a rollback names."""


def tasks(app: App, when: str) -> Sequence[Step[Way]]:
    """Return the steps of the app's tasks with this `when`, in the order of the configuration."""
    run = run_and_warn if when == "after-switch" else run_task
    return [Step(f"Task {name}", partial(run, name)) for name, task in app.tasks.items() if task.when == when]


def left_tasks(way: Way) -> Iterator[Step[Way]]:
    """Yield a step for each task that an earlier deployment has begun and that nobody has seen the end of."""
    job = way.tools.job
    for record in way.tools.state.open_tasks(job.app.name):
        if record.deployment != job.deployment:
            yield Step(f"Task {record.name} of deployment {record.deployment}", partial(_take_up, record))


def _take_up(record: TaskRecord, way: Way, stage: Running) -> None:
    """Wait for another deployment's task, so that no two migrations run at once. Raises StageFailed if its end is not known."""
    app, left = way.tools.job.app, _left(way, stage)
    if record.moment == "after-build":
        left.stop(record, app)
        stage.note = "stopped: these tests are for nobody any more"
        return
    end = left.take_up(record, app)
    if end is None and record.moment == "before-switch":
        raise not_known(record, app.name)
    stage.note = end.words if end else "nobody knows whether it finished"


def run_task(name: str, way: Way, stage: Running) -> None:
    """Run a task to its end, or go on with it where an earlier attempt was cut off. Raises StageFailed, Cancelled."""
    tools, app = way.tools, way.app
    task, number = app.tasks[name], tools.job.deployment
    way.require_plain_image()
    way.await_step("Push")  # what cannot be published does not go live: a migration for it would be in vain
    record = tools.state.task(number, name)
    if record and record.ended is not None and (record.exit_code is not None or not task.retry):
        _tell_earlier(record, way, stage)
        return
    errand = Errand(
        app=app,
        release=number,
        name=name,
        task=task,
        output=stage.output,
        cancel=stage.cancel,
        begun=record is not None,
        begin=lambda: tools.state.begin_task(number, name, task.when, tools.now()),
        leave=lambda: stage.cancel.reason == "stop",
        image=way.image.id,
        env=environment(app, tools),
    )
    end = _ended(errand, way, stage)
    if end is None:
        assert record
        raise not_known(record, app.name)
    if end.code or end.problem:
        raise StageFailed(f"task {name} failed: {end.words}", end.hint, end.tail)
    stage.note = end.words


def _ended(errand: Errand, way: Way, stage: Running) -> TaskEnd | None:
    """Run the errand, and record how it ended; what was cut off once more stays open."""
    tools = way.tools

    def close(code: int | None) -> None:
        tools.state.end_task(errand.release, errand.name, tools.now(), code)
        _left(way, stage).clear(errand.app)

    try:
        end = tools.target.run_task(errand)
    except (EngineGone, StateUnfit):
        raise
    except Cancelled:
        if not errand.leave():
            close(None)
        raise
    except GitdeployError:
        close(None)
        raise
    close(end.code if end else None)
    return end


def _left(way: Way, stage: Running) -> LeftTasks:
    tools = way.tools
    return LeftTasks(tools.state, tools.target, stage.output, tools.now, stage.cancel)


def _tell_earlier(record: TaskRecord, way: Way, stage: Running) -> None:
    """Tell what became of a task in an earlier attempt. Raises StageFailed unless it succeeded."""
    if record.exit_code is None:
        raise not_known(record, way.app.name)
    if record.exit_code:
        raise StageFailed(f"task {record.name} failed before the deployment was cut off: exit code {record.exit_code}")
    stage.note, stage.skipped = "it has finished in an earlier attempt", True


def run_and_warn(name: str, way: Way, stage: Running) -> None:
    """Run a task of a release that serves already: that one fails is told, and kept in the history."""
    try:
        run_task(name, way, stage)
    except (EngineGone, StateUnfit):
        raise
    except GitdeployError as error:
        if isinstance(error, Cancelled) and stage.cancel.reason == "stop":
            raise
        stage.warning = error.reason
        known = way.recorded.error
        way.record(error=f"{known}; {error.reason}" if known else error.reason)


def migrations_since(records: Sequence[TaskRecord], versions: dict[int, str]) -> str:
    """Return what a rollback says of tasks before the switch that ran since, "" if none did. Pure.

    Args:
        versions: what each deployment released.
    """
    told = []
    for record in records:
        how = "" if record.exit_code == 0 else ", cut off" if record.exit_code is None else ", failed"
        told.append(f"{record.name} ({versions.get(record.deployment) or '?'}, deployment {record.deployment}{how})")
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return f"migrations that ran since: {', '.join(told[-SHOWN:])}{more}" if told else ""
