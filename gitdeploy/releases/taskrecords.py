"""The part of state.db about tasks: which have begun and how they ended. Each change survives the end of the machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from gitdeploy.releases.records import TaskRecord

COLUMNS = "t.deployment, t.name, t.moment, t.started, t.ended, t.exit_code"


class TaskRecords:
    """What `State` has of tasks."""

    if TYPE_CHECKING:
        _db: sqlite3.Connection

        def _transaction(self, *, durable: bool = False) -> AbstractContextManager[None]: ...

        def _query(self, sql: str, arguments: Sequence[object] = ()) -> list[sqlite3.Row]: ...

    def begin_task(self, deployment: int, name: str, moment: str, started: float) -> None:
        """Note that a task is about to run, in place of what is known of an earlier run in the same deployment."""
        with self._transaction(durable=True):
            row = (deployment, name, moment, started)
            self._db.execute("INSERT OR REPLACE INTO tasks (deployment, name, moment, started) VALUES (?, ?, ?, ?)", row)

    def end_task(self, deployment: int, name: str, ended: float, exit_code: int | None) -> None:
        """Note that a task has ended; None: it was stopped, or nobody knows how. Nothing for one that never began."""
        with self._transaction(durable=True):
            change = "UPDATE tasks SET ended = ?, exit_code = ? WHERE deployment = ? AND name = ?"
            self._db.execute(change, (ended, exit_code, deployment, name))

    def task(self, deployment: int, name: str) -> TaskRecord | None:
        """Return what is known of a task of a deployment, None if it never began."""
        return next(iter(self._tasks("t.deployment = ? AND t.name = ?", (deployment, name))), None)

    def open_tasks(self, app: str) -> list[TaskRecord]:
        """Return the tasks of an app that began, and whose end nobody has noted; oldest first."""
        return self._tasks("d.app = ? AND t.ended IS NULL", (app,))

    def tasks_since(self, app: str, deployment: int, moment: str) -> list[TaskRecord]:
        """Return an app's tasks with this `when` in deployments after that one, oldest first."""
        return self._tasks("d.app = ? AND t.deployment > ? AND t.moment = ?", (app, deployment, moment))

    def _tasks(self, condition: str, arguments: Sequence[object]) -> list[TaskRecord]:
        sql = f"SELECT {COLUMNS} FROM tasks t JOIN deployments d ON d.id = t.deployment WHERE {condition} ORDER BY t.rowid"
        return [TaskRecord(**dict(row)) for row in self._query(sql, arguments)]
