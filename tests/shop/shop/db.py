"""The shop's database."""

from __future__ import annotations

import os
import time
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


PATIENCE = 30.0
"""Seconds for a database to get ready that has just been started: it takes connections a moment before it serves them."""


def connect() -> Connection:
    """Return a connection to the database that DATABASE_URL names, each statement a transaction of its own."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5, autocommit=True)
        except psycopg.OperationalError as error:
            if "starting up" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.1)
