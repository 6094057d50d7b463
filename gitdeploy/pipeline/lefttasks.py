"""Tasks of deployments that have ended, or never will: what a crash left of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gitdeploy.config import snapshot
from gitdeploy.config.jobs import Task
from gitdeploy.config.model import App
from gitdeploy.engine.types import Cancel, Output
from gitdeploy.errors import Cancelled, EngineGone, GitdeployError, StageFailed
from gitdeploy.releases.records import TaskRecord
from gitdeploy.releases.state import State, StateUnfit
from gitdeploy.targets.errand import Errand, TaskEnd
from gitdeploy.targets.target import Target


def not_known(record: TaskRecord, app: str) -> StageFailed:
    """Return the error of a task that began, and of which nobody knows whether it finished."""
    began = datetime.fromtimestamp(record.started).strftime("%Y-%m-%d %H:%M:%S")
    reason = f"task {record.name} of deployment {record.deployment} began at {began} and was cut off; whether it finished is"
    hint = f"look at what it works on, such as the database; then gitdeploy deploy {app}, which runs it anew. "
    return StageFailed(f"{reason} not known", f"{hint}If it may always run again: retry = true for tasks.{record.name}")


@dataclass(frozen=True)
class LeftTasks:
    """What is needed to look after them.

    Attributes:
        output: gets what they say.
        now: seconds since the epoch.
        cancel: ends the waiting; what runs is left to whoever comes next.
    """

    state: State
    target: Target
    output: Output
    now: Callable[[], float]
    cancel: Cancel

    def clear(self, app: App) -> None:
        """Remove what is left of tasks whose end is on record."""
        self.target.drop_tasks(app, {(record.deployment, record.name) for record in self.state.open_tasks(app.name)})

    def stop(self, record: TaskRecord, app: App) -> None:
        """Stop one that nobody needs."""
        self.state.end_task(record.deployment, record.name, self.now(), None)
        self.clear(app)

    def take_up(self, record: TaskRecord, app: App) -> TaskEnd | None:
        """Wait for one, and record how it ended; None: nobody knows.

        Raises:
            StageFailed: it took too long, and was stopped.
            Cancelled: `cancel` was set; it runs on.
        """
        row = self.state.deployment(record.deployment)
        ran = snapshot.load(row.config) if row else None
        task = ran.tasks.get(record.name) if ran else None
        errand = Errand(
            app=app,
            release=record.deployment,
            name=record.name,
            task=task or Task(),
            output=self.output,
            cancel=self.cancel,
            begun=True,
        )
        try:
            end = self.target.run_task(errand)
        except StageFailed:
            self.stop(record, app)
            raise
        self.state.end_task(record.deployment, record.name, self.now(), end.code if end else None)
        self.clear(app)
        return end

    def end(self, number: int, app: App, *, serves: bool) -> None:
        """Look after the tasks of a deployment that ends by a crash.

        Those of a release that serves come to their end, and what goes wrong stands in the history; others are stopped.

        Args:
            app: the configuration of that deployment.
        """
        open_ones = [record for record in self.state.open_tasks(app.name) if record.deployment == number]
        if not serves:
            for record in open_ones:
                self.stop(record, app)
            return
        known = {record.name for record in open_ones}
        problems = [problem for record in open_ones if (problem := self._problem(record, app))]
        for name, task in app.tasks.items():
            if task.when == "after-switch" and name not in known and not self.state.task(number, name):
                problems.append(f"task {name} was not run: gitdeploy was interrupted behind the switch")
        row = self.state.deployment(number)
        for problem in problems:
            self.output.line(f"warning: {problem}")
        if row and problems:
            self.state.update(number, error="; ".join([*([row.error] if row.error else []), *problems]))

    def _problem(self, record: TaskRecord, app: App) -> str:
        """Wait for a task; return what is wrong with it, "" if nothing is, or it is left to whoever comes next."""
        try:
            end = self.take_up(record, app)
        except Cancelled:
            return ""
        except (EngineGone, StateUnfit):
            raise
        except GitdeployError as error:
            return error.reason
        if end is None:
            return not_known(record, app.name).reason
        return f"task {record.name} failed: {end.words}" if end.code or end.problem else ""
