"""The Git server's own SQLite database, opened to be looked at: it is never written, and nothing in it is trusted."""

from __future__ import annotations

import sqlite3
import stat
import time
from pathlib import Path
from urllib.parse import quote


def open_tables(database: Path, limit: float) -> sqlite3.Connection:
    """Open a database to be read for up to `limit` seconds, from now.

    Whoever broke into the Git server can make its tables views of anything.

    Raises:
        sqlite3.Error: it is no regular file, or none of SQLite's.
        OSError: it is not there.
    """
    end = time.monotonic() + limit
    if not stat.S_ISREG(database.lstat().st_mode):
        raise sqlite3.OperationalError("it is no regular file")
    tables = sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=limit)
    tables.text_factory = lambda data: data.decode("utf-8", "replace")
    tables.execute("PRAGMA trusted_schema = OFF")
    tables.set_progress_handler(lambda: int(time.monotonic() > end), 10_000)
    return tables
