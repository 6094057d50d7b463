"""Hands a record to the worker, as the hook does, and shows its console until it ends."""

from __future__ import annotations

import os
import pwd
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from gitdeploy.push import PushRecord
from gitdeploy.site import Site

PATIENCE = 0.05
"""Seconds between two looks for a writer."""


def user_name(environ: Mapping[str, str]) -> str:
    """Who runs the command line."""
    name = environ.get("SUDO_USER") or environ.get("USER")
    if name:
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def submit(site: Site, record: PushRecord, environ: Mapping[str, str]) -> int:
    """Spools the record, sees to it that a worker runs, and shows the console; returns the deployment's exit status."""
    record = replace(record, console=f"{record.name}.console")
    fifo = site.spool.directory / record.console
    os.mkfifo(fifo, 0o600)
    try:
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        site.spool.add(record)
        if not ring(site.spool.directory / "bell"):
            _start_worker(environ)
        _relay(reader, lambda: record.name not in site.spool.names() or not site.spool.locked(record.app))
    except KeyboardInterrupt:
        print(f"\nthe deployment goes on; see `gitdeploy logs -f {record.app}`", file=sys.stderr)
        raise
    finally:
        fifo.unlink(missing_ok=True)
    with site.open_state() as state:
        row = state.by_record(record.name)
    if row is None or not row.ended:
        print("the worker stopped before the end; the request is kept and done by its next run", file=sys.stderr)
        return 1
    return row.exit_code


def ring(bell: Path) -> bool:
    """Tells a watching worker that there is work; returns False if none watches."""
    try:
        fd = os.open(bell, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, b"\n")
    except BlockingIOError:
        pass  # full: it has been rung often enough
    finally:
        os.close(fd)
    return True


def _start_worker(environ: Mapping[str, str]) -> None:
    """Starts a worker that outlives this command."""
    subprocess.Popen(
        [sys.executable, "-s", "-P", "-m", "gitdeploy", "worker", "--once"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=dict(environ),
    )


def _relay(reader: int, is_over: Callable[[], bool]) -> None:
    """Copies the FIFO to the standard output until its writer closes it, unless another one is about to come."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    with os.fdopen(reader, "rb", buffering=0) as file:
        while True:
            poll.poll()  # before a writer has come there is no event; after it has gone, a hangup
            data = file.read(65536)
            if data == b"":
                if is_over():
                    return
                time.sleep(PATIENCE)
            sys.stdout.buffer.write(data or b"")
            sys.stdout.buffer.flush()
