"""Sends what was ordered: python -m shop.worker. Any number of them may run."""

from __future__ import annotations

import signal
from types import FrameType

from shop.db import Connection, connect

NEXT = """
UPDATE orders SET sent = now() WHERE id = (
    SELECT id FROM orders WHERE sent IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id
"""


class Stop:
    """Set by SIGTERM; an order that is at work is finished."""

    wanted = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.wanted = True


def main() -> None:
    """Send orders until SIGTERM."""
    stop = Stop()
    signal.signal(signal.SIGTERM, stop)
    with connect() as db:
        db.execute("LISTEN orders")
        print("waiting for orders", flush=True)
        while not stop.wanted:
            send_all(db, stop)
            for _ in db.notifies(timeout=1, stop_after=1):
                pass


def send_all(db: Connection, stop: Stop) -> None:
    """Send what waits, the oldest first."""
    while not stop.wanted and (sent := db.execute(NEXT).fetchone()):
        print(f"sent order {sent[0]}", flush=True)


if __name__ == "__main__":
    main()
