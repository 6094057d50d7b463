"""Hands a record to the worker, as the hook does, and shows its console until it ends."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from gitdeploy.cli.who import audit
from gitdeploy.errors import UnfitError
from gitdeploy.intake.bell import ring
from gitdeploy.intake.push import PushRecord
from gitdeploy.worker.site import Site

LOOK = 0.5
"""Seconds between two looks whether the worker is still there."""

LONG = 10.0
"""Seconds without a worker after which that is said."""

PATIENCE = 0.05
"""Seconds between two looks for a writer."""


def submit(site: Site, record: PushRecord, environ: Mapping[str, str]) -> int:
    """Spools the record, sees to it that a worker runs, and shows the console; returns the deployment's exit status.

    Raises UnfitError where no worker can do it: the record waits then, unless state.db cannot be used at all.
    """
    site.open_state().close()  # no worker could start
    record = replace(record, console=f"{record.name}.console")
    shared = site.spool.shared
    with shared.opened() as directory:
        os.mkfifo(record.console, 0o600, dir_fd=directory)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        reader = os.open(record.console, flags, dir_fd=directory)
    try:
        site.spool.add(record)
        _audit(site, record, environ)
        worker = None if ring(shared) else _start_worker(environ)
        _relay(reader, lambda: record.name not in site.spool.names() or not site.spool.locked(record.app), worker)
    except KeyboardInterrupt:
        print(f"\nthe deployment goes on; see `gitdeploy logs -f {record.app}`", file=sys.stderr)
        raise
    finally:
        with contextlib.suppress(FileNotFoundError, UnfitError), shared.opened() as directory:
            os.unlink(record.console, dir_fd=directory)
    with site.open_state() as state:
        row = state.by_record(record.name)
    if row is None or not row.ended:
        print("the worker stopped before the end; the request is kept and done by its next run", file=sys.stderr)
        return 1
    return row.exit_code


def _audit(site: Site, record: PushRecord, environ: Mapping[str, str]) -> None:
    ref = record.refs[0] if record.refs else None
    facts = {"ref": ref.name, "new": ref.new} if ref else {"reason": f"to the release of deployment {record.release}"}
    audit(site, environ, record.trigger, app=record.app, record=record.name, **facts)


def _start_worker(environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a worker that outlives this command."""
    return subprocess.Popen(
        [sys.executable, "-s", "-P", "-m", "gitdeploy", "worker", "--once"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=dict(environ),
    )


def _relay(reader: int, is_over: Callable[[], bool], worker: subprocess.Popen[bytes] | None) -> None:
    """Copy the FIFO to the standard output until its writer closes it, unless another one is about to come.

    Args:
        is_over: whether nobody works on it any more.
        worker: the process that was started for it; None where one watches.
    """
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    waited, told = 0.0, False
    with os.fdopen(reader, "rb", buffering=0) as file:
        while True:
            if not poll.poll(LOOK * 1000):  # before a writer has come there is no event; after it has gone, a hangup
                waited += LOOK
                if worker and worker.poll() is not None and is_over():
                    return
                if waited >= LONG and not told:
                    told = True
                    print("no worker has taken it yet; it stays recorded, and Ctrl-C ends only the waiting", file=sys.stderr)
                continue
            data = file.read(65536)
            waited, told = 0.0, True
            if data == b"":
                if is_over():
                    return
                time.sleep(PATIENCE)
            sys.stdout.buffer.write(data or b"")
            sys.stdout.buffer.flush()
