"""The part of state.db about an app as a whole: its refs, its repository, whether it is in service, and its name."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from gitdeploy.releases.records import BuiltAges, Seen


class AppFacts:
    """What `State` is beside its deployments."""

    if TYPE_CHECKING:
        _db: sqlite3.Connection

        def _transaction(self, *, durable: bool = False) -> AbstractContextManager[None]: ...

        def _query(self, sql: str, arguments: Sequence[object] = ()) -> list[sqlite3.Row]: ...

    def seen(self, app: str) -> Seen | None:
        """Return what was last seen of the refs of an app, None if nobody ever looked."""
        rows = self._query("SELECT patterns, tips FROM seen WHERE app = ?", (app,))
        return Seen(tuple(json.loads(rows[0]["patterns"])), json.loads(rows[0]["tips"])) if rows else None

    def remember(self, app: str, seen: Seen) -> None:
        """Keep what was seen of an app's refs."""
        row = (app, json.dumps(seen.patterns), json.dumps(dict(seen.tips)))
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO seen (app, patterns, tips) VALUES (?, ?, ?)", row)

    def see(self, app: str, tips: Mapping[str, str]) -> None:
        """Keep that these tips of an app's refs have been dealt with, if its refs are watched."""
        if not tips:
            return
        with self._transaction():
            row = self._db.execute("SELECT tips FROM seen WHERE app = ?", (app,)).fetchone()
            if row:
                known = json.dumps({**json.loads(row["tips"]), **tips})
                self._db.execute("UPDATE seen SET tips = ? WHERE app = ?", (known, app))

    def bound(self, app: str) -> str:
        """Return the token of the repository that an app was enrolled from, "" if none is known."""
        rows = self._query("SELECT token FROM bound WHERE app = ?", (app,))
        return str(rows[0]["token"]) if rows else ""

    def bind(self, app: str, token: str) -> None:
        """Keep the token of the repository that an app is deployed from."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO bound (app, token) VALUES (?, ?)", (app, token))

    def stopped(self, app: str) -> float | None:
        """Return since when an app is out of service because somebody said so, None if it is not."""
        rows = self._query("SELECT since FROM stopped WHERE app = ?", (app,))
        return float(rows[0]["since"]) if rows else None

    def set_stopped(self, app: str, since: float | None) -> None:
        """Note that an app is out of service since then, or with None that it is in service."""
        with self._transaction(durable=True):
            self._db.execute("DELETE FROM stopped WHERE app = ?", (app,))
            if since is not None:
                self._db.execute("INSERT INTO stopped (app, since) VALUES (?, ?)", (app, since))

    def scales(self, app: str) -> Mapping[str, int]:
        """Return how many replicas of an app's processes somebody asked for, by process."""
        rows = self._query("SELECT process, replicas FROM scaled WHERE app = ?", (app,))
        return {row["process"]: int(row["replicas"]) for row in rows}

    def set_scale(self, app: str, process: str, replicas: int | None, live: int = 0, config: str = "") -> None:
        """Note how many replicas of a process there are to be, None for what the configuration says.

        Args:
            live: the deployment whose containers have been brought to that number, 0 for none.
            config: what that one is configured as from now on.
        """
        with self._transaction(durable=True):
            self._db.execute("DELETE FROM scaled WHERE app = ? AND process = ?", (app, process))
            if replicas is not None:
                self._db.execute("INSERT INTO scaled (app, process, replicas) VALUES (?, ?, ?)", (app, process, replicas))
            if live:
                self._db.execute("UPDATE deployments SET config = ? WHERE id = ?", (config, live))

    def ages(self, app: str) -> BuiltAges | None:
        """Return the times of the files that were built last, None if nothing is known of them."""
        rows = self._query("SELECT ages, key, known FROM ages WHERE app = ?", (app,))
        return BuiltAges(bytes(rows[0]["ages"]), rows[0]["key"], bool(rows[0]["known"])) if rows else None

    def set_ages(self, app: str, ages: BuiltAges) -> None:
        """Keep the times of the files that are built next, before anybody gets them: no time may be given out twice."""
        row = (app, ages.ages, ages.key, ages.known)
        with self._transaction(durable=True):
            self._db.execute("INSERT OR REPLACE INTO ages (app, ages, key, known) VALUES (?, ?, ?, ?)", row)

    def ages_known(self, app: str) -> None:
        """Note that the engine has ended the last build of an app, so that it is known what it has of its files."""
        with self._transaction():
            self._db.execute("UPDATE ages SET known = 1 WHERE app = ?", (app,))

    def rename(self, old: str, new: str) -> None:
        """Give all that is known of one app to another name, for good; nothing if there is nothing."""
        with self._transaction(durable=True):
            config = "UPDATE deployments SET config = json_set(config, '$.name', ?) WHERE app = ? AND config != ''"
            self._db.execute(config, (new, old))
            for table in ("deployments", "seen", "bound", "stopped", "scaled", "ages", "runs", "unscheduled"):
                self._db.execute(f"UPDATE OR REPLACE {table} SET app = ? WHERE app = ?", (new, old))
