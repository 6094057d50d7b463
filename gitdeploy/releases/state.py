"""state.db: every deployment with its stages, times, result and error, in SQLite.

The file is a record, never the only copy of what runs: containers carry labels. A deployment that ended well and whose image
is still kept is a release, the target of a rollback.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gitdeploy.releases.appfacts import AppFacts
from gitdeploy.releases.database import StateUnfit, open_database, unfit
from gitdeploy.releases.records import COLUMNS, Deployment, Stage, Status
from gitdeploy.releases.schedulerecords import ScheduleRecords
from gitdeploy.releases.taskrecords import TaskRecords

__all__ = ["State", "StateUnfit"]

FREE_TEXT = ("subject", "error", "hint")
"""Columns for what people and programs say."""


class State(AppFacts, TaskRecords, ScheduleRecords):
    """An open state.db; close it or use it in a `with` block. Several threads may share it.

    Attributes:
        hide: applied to the texts that a deployment writes here (subject, error, hint): takes secrets out of them.
    """

    def __init__(self, path: Path, first_id: int = 1) -> None:
        """Open or make the file.

        Args:
            path: of the file, made 0600.
            first_id: of the first deployment when the file is new: above every log that exists already.

        Raises:
            StateUnfit: it cannot be opened, is damaged, or is of a newer gitdeploy. Every method raises that, too.
        """
        self.hide: Callable[[str], str] = str
        self._path = path
        self._mutex = threading.Lock()
        """Held around each transaction and each query: the connection has one transaction and one set of pragmas."""
        self._db = open_database(path, first_id)

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._mutex:
            self._db.close()

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Run the block as one transaction; a `durable` one survives the end of the machine after it."""
        with self._mutex, self._understood("written"):
            if durable:
                self._db.execute("PRAGMA synchronous=FULL")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            finally:
                if durable:
                    self._db.execute("PRAGMA synchronous=NORMAL")

    def _query(self, sql: str, arguments: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._mutex, self._understood("read"):
            return self._db.execute(sql, [_text(value) for value in arguments]).fetchall()

    @contextmanager
    def _understood(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise unfit(self._path, what, error) from error

    def enqueue(
        self, app: str, record: str, *, trigger: str, created: float, ref: str = "", commit_id: str = "", pusher: str = ""
    ) -> int:
        """Return the id of this record's deployment, which is made as "queued" if there is none yet."""
        with self._transaction():
            row = self._db.execute("SELECT id FROM deployments WHERE record = ?", (record,)).fetchone()
            if row:
                return int(row["id"])
            cursor = self._db.execute(
                "INSERT INTO deployments (app, record, trigger, status, created, ref, commit_id, pusher)"
                " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?)",
                [_text(value) for value in (app, record, trigger, created, ref, commit_id, pusher)],
            )
            return int(cursor.lastrowid or 0)

    def count_above(self, deployment: int) -> None:
        """Give no new deployment this number or a lower one."""
        with self._transaction():
            (highest,) = self._db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'deployments'").fetchone()
            if (highest or 0) < deployment:
                self._db.execute("DELETE FROM sqlite_sequence WHERE name = 'deployments'")
                self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('deployments', ?)", (deployment,))

    def end(self, deployment: int, status: Status, **values: Any) -> None:
        """Record the end of a deployment, durably: its push record is removed after that."""
        self._set(deployment, {"status": status, **values}, durable=True)

    def update(self, deployment: int, **values: Any) -> None:
        """Set columns of one deployment."""
        self._set(deployment, values)

    def _set(self, deployment: int, values: Mapping[str, Any], *, durable: bool = False) -> None:
        unknown = values.keys() - set(COLUMNS)
        if unknown:
            raise KeyError(", ".join(sorted(unknown)))
        assignments = ", ".join(f"{name} = ?" for name in values)
        shown = [_text(self.hide(value) if name in FREE_TEXT else value) for name, value in values.items()]
        with self._transaction(durable=durable):
            self._db.execute(f"UPDATE deployments SET {assignments} WHERE id = ?", (*shown, deployment))

    def forget(self, deployment: int) -> None:
        """Note that a deployment is no longer a rollback target."""
        self.update(deployment, retained=0)

    def stage(self, deployment: int, name: str, started: float) -> int:
        """Note that a stage has begun; return a number for `end_stage`."""
        with self._transaction():
            self._db.execute("UPDATE deployments SET stage = ? WHERE id = ?", (name, deployment))
            cursor = self._db.execute(
                "INSERT INTO stages (deployment, name, started, status) VALUES (?, ?, ?, 'running')",
                (deployment, name, started),
            )
            return int(cursor.lastrowid or 0)

    def end_stage(self, number: int, seconds: float, status: str) -> None:
        """Note that a stage has ended after so many seconds."""
        with self._transaction():
            self._db.execute("UPDATE stages SET seconds = ?, status = ? WHERE rowid = ?", (seconds, status, number))

    def end_stages(self, deployment: int) -> None:
        """Note that the stages of an attempt that was cut off have failed; nobody knows after how long."""
        with self._transaction():
            self._db.execute("UPDATE stages SET status = 'failed' WHERE deployment = ? AND status = 'running'", (deployment,))

    def deployment(self, deployment: int) -> Deployment | None:
        """Return one deployment by its id."""
        return self._one("id = ?", (deployment,))

    def by_record(self, record: str) -> Deployment | None:
        """Return the deployment that stands for a push record."""
        return self._one("record = ?", (record,))

    def live(self, app: str) -> Deployment | None:
        """Return the newest deployment that succeeded: what runs now, as far as records tell."""
        return self._one("app = ? AND status = 'succeeded'", (app,))

    def newest_release(self, app: str) -> Deployment | None:
        """Return the newest deployment that succeeded and was no rollback."""
        return self._one("app = ? AND status = 'succeeded' AND trigger != 'rollback'", (app,))

    def newest(self, app: str, ref: str) -> Deployment | None:
        """Return the newest deployment of a ref that no other took the place of."""
        return self._one("app = ? AND ref = ? AND status != 'superseded'", (app, ref))

    def history(self, app: str, limit: int = 20) -> list[Deployment]:
        """Return the newest deployments of an app, newest first."""
        return self._many("app = ?", (app,), limit)

    def unfinished(self, app: str | None = None) -> list[Deployment]:
        """Deployments whose end is not known, newest first; of all apps for None."""
        condition = "status IN ('queued', 'running')"
        return self._many(f"{condition} AND app = ?", (app,)) if app else self._many(condition, ())

    def releases(self, app: str) -> list[Deployment]:
        """Return what can be rolled back to, newest first: succeeded, with its image kept."""
        return self._many("app = ? AND status = 'succeeded' AND retained = 1", (app,))

    def released(self, app: str, version: str) -> Deployment | None:
        """Return the newest deployment that released this version."""
        return self._one("app = ? AND status = 'succeeded' AND version = ?", (app, version))

    def apps(self) -> list[str]:
        """Return names of all apps that ever had a deployment."""
        return [row["app"] for row in self._query("SELECT DISTINCT app FROM deployments ORDER BY app")]

    def stages(self, deployment: int) -> list[Stage]:
        """Return the stages of one deployment, in order."""
        sql = "SELECT name, started, seconds, status FROM stages WHERE deployment = ? ORDER BY rowid"
        rows = self._query(sql, (deployment,))
        return [Stage(**dict(row)) for row in rows]

    def _one(self, condition: str, arguments: Sequence[object]) -> Deployment | None:
        rows = self._many(condition, arguments, 1)
        return rows[0] if rows else None

    def _many(self, condition: str, arguments: Sequence[object], limit: int = -1) -> list[Deployment]:
        sql = f"SELECT {', '.join(COLUMNS)} FROM deployments WHERE {condition} ORDER BY id DESC LIMIT {limit}"
        return [Deployment(**{**dict(row), "retained": bool(row["retained"])}) for row in self._query(sql, arguments)]


def _text(value: object) -> object:
    """Return a value as SQLite takes it: names in git are bytes, and those that are no UTF-8 have no place in a text."""
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if isinstance(value, str) else value
