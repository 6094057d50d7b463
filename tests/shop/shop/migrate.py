"""Brings the database up to date: python -m shop.migrate. Each file of migrations/ is applied once, in the order of names."""

from __future__ import annotations

from pathlib import Path

from shop.db import connect

LOCK = 20_001
"""Of PostgreSQL's advisory locks: two migrations at a time wait for each other."""


def main() -> None:
    """Apply what is new; a file that fails leaves no trace."""
    with connect() as db:
        db.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        db.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, applied timestamptz DEFAULT now())")
        known = {name for (name,) in db.execute("SELECT name FROM migrations")}
        for path in sorted(Path("migrations").glob("*.sql")):
            if path.name in known:
                continue
            print(f"applying {path.name}", flush=True)
            with db.transaction():
                db.execute(path.read_bytes())
                db.execute("INSERT INTO migrations (name) VALUES (%s)", (path.name,))
        print("the database is up to date")


if __name__ == "__main__":
    main()
