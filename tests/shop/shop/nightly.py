"""Adds up the day: python -m shop.nightly. It may run again."""

from __future__ import annotations

from shop.db import connect

ADD_UP = """
INSERT INTO reports (day, orders, total)
SELECT current_date, count(*), coalesce(sum(total), 0) FROM orders WHERE placed >= current_date
ON CONFLICT (day) DO UPDATE SET orders = excluded.orders, total = excluded.total
RETURNING orders, total
"""


def main() -> None:
    """Write today's report."""
    with connect() as db:
        found = db.execute(ADD_UP).fetchone()
    assert found is not None
    print(f"{found[0]} orders, {found[1]} cents")


if __name__ == "__main__":
    main()
