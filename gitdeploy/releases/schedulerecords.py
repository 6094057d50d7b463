"""The part of state.db about schedules: every run, and when somebody last looked what is due.

Each change survives the end of the machine, for no run may come twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import TYPE_CHECKING

from gitdeploy.releases.records import RunStatus, ScheduledRun

KEPT = 100
"""Runs of one schedule of an app that are kept on record."""

KEPT_OF_APP = 500
"""The same of all schedules of an app together: a tree may call each release's by other names."""

RUN_COLUMNS = ", ".join(field.name for field in fields(ScheduledRun))


class ScheduleRecords:
    """What `State` has of schedules."""

    if TYPE_CHECKING:
        hide: Callable[[str], str]
        _db: sqlite3.Connection

        def _transaction(self, *, durable: bool = False) -> AbstractContextManager[None]: ...

        def _query(self, sql: str, arguments: Sequence[object] = ()) -> list[sqlite3.Row]: ...

    def add_run(self, app: str, name: str, due: float, trigger: str, *, skipped: str = "") -> int:
        """Note that a run of a schedule is due; return its number, 0 if that is on record already.

        Args:
            due: seconds since the epoch.
            skipped: why it is not to run, "" if it is.
        """
        status, ended, row = ("skipped", due, skipped) if skipped else ("queued", None, "")
        with self._transaction(durable=True):
            insert = "INSERT OR IGNORE INTO runs (app, name, due, trigger, status, ended, error) VALUES (?, ?, ?, ?, ?, ?, ?)"
            cursor = self._db.execute(insert, (app, name, due, trigger, status, ended, row))
            number = int(cursor.lastrowid or 0) if cursor.rowcount else 0
            old = "ended IS NOT NULL ORDER BY id DESC LIMIT -1 OFFSET ?"
            for condition, about, kept in (("app = ? AND name = ?", (app, name), KEPT), ("app = ?", (app,), KEPT_OF_APP)):
                ids = f"SELECT id FROM runs WHERE {condition} AND {old}"
                self._db.execute(f"DELETE FROM runs WHERE id IN ({ids})", (*about, kept))
        return number

    def place_run(self, number: int, deployment: int, version: str) -> None:
        """Note in which release a run is to be."""
        with self._transaction(durable=True):
            self._db.execute("UPDATE runs SET deployment = ?, version = ? WHERE id = ?", (deployment, version, number))

    def begin_run(self, number: int, started: float) -> bool:
        """Note that the container of a run is about to be started; return whether it may: nobody has ended it before."""
        with self._transaction(durable=True):
            change = "UPDATE runs SET status = 'running', started = ? WHERE id = ? AND ended IS NULL"
            return self._db.execute(change, (started, number)).rowcount > 0

    def end_run(self, number: int, status: RunStatus, ended: float, exit_code: int | None = None, error: str = "") -> bool:
        """Note how a run ended, the first time that anybody says so; return whether this was the first."""
        with self._transaction(durable=True):
            change = "UPDATE runs SET status = ?, ended = ?, exit_code = ?, error = ? WHERE id = ? AND ended IS NULL"
            return self._db.execute(change, (status, ended, exit_code, self.hide(error), number)).rowcount > 0

    def run(self, number: int) -> ScheduledRun | None:
        """Return one run by its number."""
        return next(iter(self._runs("id = ?", (number,))), None)

    def runs(self, app: str, limit: int = 20) -> list[ScheduledRun]:
        """Return the newest runs of an app, newest first."""
        return self._runs("app = ?", (app,), limit)

    def last_run(self, app: str, name: str) -> ScheduledRun | None:
        """Return the newest run of a schedule that was not skipped."""
        return next(iter(self._runs("app = ? AND name = ? AND status != 'skipped'", (app, name), 1)), None)

    def open_runs(self, app: str = "") -> list[ScheduledRun]:
        """Return the runs whose end nobody has noted, newest first; of all apps if none is named."""
        return self._runs("ended IS NULL AND app = ?", (app,)) if app else self._runs("ended IS NULL", ())

    def looked(self) -> float:
        """Return when somebody last looked what is due, 0.0 for never."""
        rows = self._query("SELECT at FROM looked")
        return float(rows[0]["at"]) if rows else 0.0

    def set_looked(self, at: float) -> None:
        """Note when somebody looked what is due; what was due before is not made up for."""
        with self._transaction(durable=True):
            self._db.execute("INSERT OR REPLACE INTO looked (only, at) VALUES (1, ?)", (at,))

    def unscheduled(self, app: str) -> int:
        """Return the deployment up to which no schedule of an app runs, 0 for none."""
        rows = self._query("SELECT deployment FROM unscheduled WHERE app = ?", (app,))
        return int(rows[0]["deployment"]) if rows else 0

    def unschedule(self, app: str, deployment: int) -> None:
        """Note that no schedule of an app runs until there is a deployment after that one."""
        with self._transaction(durable=True):
            self._db.execute("INSERT OR REPLACE INTO unscheduled (app, deployment) VALUES (?, ?)", (app, deployment))

    def _runs(self, condition: str, arguments: Sequence[object], limit: int = -1) -> list[ScheduledRun]:
        sql = f"SELECT {RUN_COLUMNS} FROM runs WHERE {condition} ORDER BY id DESC LIMIT {limit}"
        return [ScheduledRun(**dict(row)) for row in self._query(sql, arguments)]
