"""The supervisor: a process for each app with work, a new one when it dies, none left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy.push import PushRecord, RefUpdate
from gitdeploy.spool import Spool
from gitdeploy.supervisor import BUSY, MAX_DEATHS, STOPPED, Supervisor

NONE: frozenset[str] = frozenset()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "spool").mkdir()
    return Spool(tmp_path)


def add(spool: Spool, name: str, app: str = "o/r") -> None:
    spool.add(PushRecord(name, app, "/r.git", (RefUpdate("a" * 40, "b" * 40, "refs/heads/main"),)))


def forked(work: Callable[[], None]) -> int:
    """Runs a supervisor in a process of its own: it sets signal handlers and reaps children."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def finish(pid: int, seconds: float = 10) -> None:
    """Waits for a process, kills it if it does not end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail(f"the supervisor did not end within {seconds} s")


def do_all(spool: Spool, app: str) -> int:
    """A child that ends every waiting record of its app and notes that it ran."""
    with (spool.directory.parent / "ran").open("a") as file:
        file.write(f"{app}\n")
    for record in spool.pending()[0]:
        if record.app == app:
            spool.done(record.name)
    return 0


def ran(spool: Spool) -> list[str]:
    path = spool.directory.parent / "ran"
    return path.read_text().split() if path.exists() else []


def test_each_app_with_work_gets_a_process_and_then_it_ends(spool: Spool) -> None:
    add(spool, "1-a", "o/one")
    add(spool, "2-b", "o/two")
    add(spool, "3-c", "o/two")
    finish(forked(lambda: Supervisor(spool, lambda app: do_all(spool, app)).run(frozenset({"o/cut-off"}), watch=False)))
    assert sorted(ran(spool)) == ["o/cut-off", "o/one", "o/two"]
    assert spool.names() == NONE


def test_a_killed_child_is_started_again_but_not_for_ever(spool: Spool) -> None:
    add(spool, "1-a")

    def die(app: str) -> int:
        with (spool.directory.parent / "ran").open("a") as file:
            file.write(f"{app}\n")
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    finish(forked(lambda: Supervisor(spool, die).run(NONE, watch=False)))
    assert len(ran(spool)) == 1 + MAX_DEATHS
    assert spool.names() == {"1-a"}


def test_what_cannot_be_ended_is_left_for_the_next_run(spool: Spool) -> None:
    add(spool, "1-a")
    for status in (0, 1, BUSY):
        finish(forked(lambda status=status: Supervisor(spool, lambda app: status).run(NONE, watch=False)))
    assert spool.names() == {"1-a"}


def test_a_watching_supervisor_hears_the_bell_at_once(spool: Spool) -> None:
    pid = forked(lambda: Supervisor(spool, lambda app: do_all(spool, app)).run(NONE, watch=True))
    bell = spool.directory / "bell"
    while not bell.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    add(spool, "1-a")
    started = time.monotonic()
    with bell.open("r+b", buffering=0) as file:
        file.write(b"\n")
    while spool.names():
        time.sleep(0.001)
    took = time.monotonic() - started
    os.kill(pid, signal.SIGTERM)
    finish(pid)
    assert took < 0.4  # well below the interval of looking without a bell


def test_a_stop_signal_reaches_the_children_and_waits_for_them(spool: Spool) -> None:
    add(spool, "1-a")
    started = spool.directory.parent / "started"

    def work(app: str) -> int:
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        started.touch()
        stop.wait(10)
        time.sleep(0.1)
        return do_all(spool, "stopped/in-order")

    pid = forked(lambda: Supervisor(spool, work).run(NONE, watch=True))
    while not started.exists():
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    finish(pid)
    assert ran(spool) == ["stopped/in-order"]


def test_a_file_that_is_no_record_is_set_aside(spool: Spool) -> None:
    (spool.directory / "1-a.push").write_text("garbage")
    finish(forked(lambda: Supervisor(spool, lambda app: 0).run(NONE, watch=False)))
    assert [p.name for p in spool.directory.iterdir()] == [".1-a.push.bad"]


@pytest.mark.parametrize(("status", "ends_with"), [(0, 0), (BUSY, 0), (1, 1), (3, 1)])
def test_the_hook_is_told_when_no_worker_deploys(spool: Spool, status: int, ends_with: int) -> None:
    add(spool, "1-a")
    pid = os.fork()
    if pid == 0:
        os._exit(Supervisor(spool, lambda app: status).run(NONE, watch=False))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ends_with


def test_a_stopped_worker_says_so(spool: Spool) -> None:
    add(spool, "1-a")
    started = spool.directory.parent / "started"

    def work(app: str) -> int:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        started.touch()
        signal.pause()
        return 0

    pid = os.fork()
    if pid == 0:
        os._exit(Supervisor(spool, work).run(NONE, watch=False))
    while not started.exists():
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == STOPPED
