"""The supervisor: a process for each app with work, a new one when it dies, none left behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy.intake.push import PushRecord, RefUpdate
from gitdeploy.intake.spool import Spool
from gitdeploy.worker import supervisor
from gitdeploy.worker.supervisor import BUSY, MAX_DEATHS, STOPPED, Supervisor

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


def listen(spool: Spool, name: str, app: str = "o/r") -> int:
    """Adds a push with a console; returns the pusher's end of that."""
    os.mkfifo(spool.directory / f"{name}.console")
    reader = os.open(spool.directory / f"{name}.console", os.O_RDONLY | os.O_NONBLOCK)
    ref = RefUpdate("a" * 40, "b" * 40, "refs/heads/main")
    spool.add(PushRecord(name, app, "/r.git", (ref,), console=f"{name}.console"))
    return reader


def hear(reader: int, seconds: float = 10) -> bytes:
    """All that the pusher reads before the console is closed."""
    os.set_blocking(reader, True)
    heard, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline and select.select([reader], [], [], seconds)[0]:
        data = os.read(reader, 1000)
        if not data:
            return heard
        heard += data
    pytest.fail(f"the console was not closed within {seconds} s; so far: {heard!r}")


def tell(spool: Spool, record: PushRecord, text: bytes) -> None:
    fd = spool.consoles.take(record)
    os.write(fd, text)
    os.close(fd)


def test_a_pusher_hears_a_killed_child_and_the_next_one(spool: Spool) -> None:
    reader = listen(spool, "1-a")

    def die_once(app: str) -> int:
        (record,) = spool.pending()[0]
        first = (spool.directory / record.console).exists()
        tell(spool, record, b"first " if first else b"second")
        if first:
            (spool.directory / record.console).unlink()  # the hook does, when it has read something
            os.kill(os.getpid(), signal.SIGKILL)
        return do_all(spool, app)

    finish(forked(lambda: Supervisor(spool, die_once).run(NONE, watch=False)))
    assert hear(reader) == b"first second"


@pytest.mark.parametrize("status", [BUSY, 1])
def test_a_pusher_is_let_go_when_a_child_gives_up(spool: Spool, status: int) -> None:
    reader = listen(spool, "1-a")

    def say(app: str) -> int:
        tell(spool, spool.pending()[0][0], b"no")
        return status

    pid = forked(lambda: Supervisor(spool, say).run(NONE, watch=True))
    assert hear(reader).startswith(b"no")
    os.kill(pid, signal.SIGTERM)
    finish(pid)


def test_a_pusher_is_let_go_when_his_record_is_done_whoever_else_is_at_work(spool: Spool) -> None:
    reader, longer = listen(spool, "1-a"), listen(spool, "2-b", "o/longer")
    release = spool.directory.parent / "release"

    def work(app: str) -> int:
        for record in spool.pending()[0]:
            if record.app == app:
                tell(spool, record, app.encode())
        if app == "o/r":
            spool.done("1-a")  # and goes on, with another record say
        for _ in range(1000):
            if release.exists():
                break
            time.sleep(0.01)
        return do_all(spool, app)

    pid = forked(lambda: Supervisor(spool, work).run(NONE, watch=False))
    assert hear(reader) == b"o/r"
    assert spool.names() == {"2-b"}
    release.touch()
    assert hear(longer) == b"o/longer"
    finish(pid)


def test_not_everybody_at_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitdeploy.worker.supervisor.MAX_CHILDREN", 3)
    for number in range(10):
        add(spool, f"{number}-x", f"o/app{number}")
    at_work = spool.directory.parent / "at-work"
    at_work.mkdir()

    def work(app: str) -> int:
        mine = at_work / app.replace("/", "-")
        mine.touch()
        with (spool.directory.parent / "counts").open("a") as file:
            file.write(f"{len(list(at_work.iterdir()))}\n")
        time.sleep(0.05)
        mine.unlink()
        return do_all(spool, app)

    finish(forked(lambda: Supervisor(spool, work).run(NONE, watch=False)))
    assert sorted(ran(spool)) == [f"o/app{number}" for number in range(10)]
    assert max(map(int, (spool.directory.parent / "counts").read_text().split())) <= 3


def test_what_cannot_be_ended_is_left_for_the_next_run(spool: Spool) -> None:
    add(spool, "1-a")
    for status in (0, 1, BUSY):
        finish(forked(lambda status=status: Supervisor(spool, lambda app: status).run(NONE, watch=False)))
    assert spool.names() == {"1-a"}


def test_a_watching_supervisor_hears_the_bell(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "IDLE", 3600.0)  # it would not look by itself
    pid = forked(lambda: Supervisor(spool, lambda app: do_all(spool, app)).run(NONE, watch=True))
    bell = spool.directory / "bell"
    while not bell.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    add(spool, "1-a")
    with bell.open("r+b", buffering=0) as file:
        file.write(b"\n")
    while spool.names():
        time.sleep(0.001)
    os.kill(pid, signal.SIGTERM)
    finish(pid)


@pytest.mark.parametrize("how", ["fails", "is killed"])
def test_a_watching_supervisor_lets_what_failed_try_again_later(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """No bell rings when an engine is back, say."""
    monkeypatch.setattr(supervisor, "RETRY", 0.1)
    monkeypatch.setattr(supervisor, "IDLE", 0.02)
    fit = spool.directory.parent / "fit"
    tries = spool.directory.parent / "tries"

    def work(app: str) -> int:
        with tries.open("a") as file:
            file.write(".")
        if fit.exists():
            return do_all(spool, app)
        return 1 if how == "fails" else os.kill(os.getpid(), signal.SIGKILL) or 0

    add(spool, "1-a")
    pid = forked(lambda: Supervisor(spool, work).run(NONE, watch=True))
    while not tries.exists() or len(tries.read_text()) < MAX_DEATHS + 3:
        time.sleep(0.01)
    fit.touch()
    while spool.names():
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    finish(pid)


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
        while True:  # signal.pause() would miss a signal that comes just before it
            time.sleep(0.01)

    pid = os.fork()
    if pid == 0:
        os._exit(Supervisor(spool, work).run(NONE, watch=False))
    while not started.exists():
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == STOPPED


def notes(spool: Spool) -> str:
    path = spool.directory.parent / "notes"
    return path.read_text() if path.exists() else ""


def note(spool: Spool, text: str) -> None:
    with (spool.directory.parent / "notes").open("a") as file:
        file.write(f"{text}\n")


def watching(spool: Spool, child: Callable[[str], int] | None = None) -> int:
    """A supervisor that watches, in a process of its own; its notes are in a file."""
    work = child or (lambda app: do_all(spool, app))
    return forked(lambda: Supervisor(spool, work, note=lambda text: note(spool, text)).run(NONE, watch=True))


def until_done(spool: Spool, pid: int) -> None:
    deadline = time.monotonic() + 10
    while spool.names() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    finish(pid)
    assert spool.names() == NONE


def test_whatever_lies_in_the_spool_an_honest_push_is_taken(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything there may be of any type: who has broken into the Git server can make what they like."""
    directory = spool.directory
    (directory / "bell" / "full").mkdir(parents=True)
    for name in ("1-a.tmp", ".2-b.tmp", "3-c.console"):
        (directory / name).mkdir()
        (directory / name / "x").touch()
        os.utime(directory / name, (1.0, 1.0))
    os.mkfifo(directory / "4-d.push")
    (directory / "5-e.push").mkdir()
    (directory / "6-f.push").symlink_to("/etc/passwd")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(directory)  # a socket's path is short
        listening.bind("7-g.push")
    for name, make in (("8-h", Path.mkdir), ("8-j", Path.touch)):
        make(directory / f"{name}.console")
        ref = RefUpdate("a" * 40, "b" * 40, "refs/heads/main")
        spool.add(PushRecord(name, "o/r", "/r.git", (ref,), console=f"{name}.console"))
    add(spool, "9-i")
    until_done(spool, watching(spool))
    assert (directory / "bell").is_fifo()
    assert "3-c.console" in notes(spool)
    assert notes(spool).count("1-a.tmp") == 1
    assert (directory / "1-a.tmp" / "x").exists()
    assert set(ran(spool)) == {"o/r"}


def test_a_bell_that_cannot_be_made_is_done_without(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> int:
        raise OSError("no bell here")

    monkeypatch.setattr("gitdeploy.intake.bell.open_bell", refuse)
    add(spool, "1-a")
    until_done(spool, watching(spool))
    assert "no bell here" in notes(spool)


def test_a_bell_that_is_rung_without_end_holds_nothing_up(spool: Spool) -> None:
    pid = watching(spool)
    bell = spool.directory / "bell"
    while not bell.exists():
        time.sleep(0.01)
    with bell.open("r+b", buffering=0) as file:
        stop = threading.Event()

        def ring() -> None:
            os.set_blocking(file.fileno(), False)
            while not stop.is_set():
                with contextlib.suppress(BlockingIOError):
                    file.write(b"\n" * 65536)

        thread = threading.Thread(target=ring)
        thread.start()
        add(spool, "1-a")
        deadline = time.monotonic() + 10
        while spool.names() and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        thread.join()
    until_done(spool, pid)


def test_a_spool_that_cannot_be_looked_at_for_a_while_ends_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "IDLE", 0.02)
    hidden = spool.directory.with_name("hidden")
    pid = watching(spool)
    while not (spool.directory / "bell").exists():
        time.sleep(0.01)
    spool.directory.rename(hidden)
    time.sleep(0.2)
    hidden.rename(spool.directory)
    add(spool, "1-a")
    until_done(spool, pid)
    assert notes(spool).count("cannot be read") >= 1
    assert notes(spool).count("cannot be read") <= 3, "said once for each place, not at every look"


def test_an_app_for_which_no_process_can_be_started_holds_up_no_other(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RETRY", 0.2)
    monkeypatch.setattr(supervisor, "IDLE", 0.02)
    add(spool, "1-a", "o/aaa")
    add(spool, "2-b", "o/zzz")
    real, failures = os.fork, [0, 1]

    def fork() -> int:
        if failures and failures.pop():
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    monkeypatch.setattr("gitdeploy.worker.supervisor.os.fork", fork)

    def run() -> None:
        failures[:] = [1]
        Supervisor(spool, lambda app: do_all(spool, app), note=lambda text: note(spool, text)).run(NONE, watch=True)

    pid = real()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    until_done(spool, pid)
    assert "o/aaa: no process can be started" in notes(spool)
    assert set(ran(spool)) == {"o/aaa", "o/zzz"}


def test_very_many_files_are_dealt_with_and_starve_no_push(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitdeploy.intake.spool.MAX_NEW", 50)
    for number in range(2000):
        (spool.directory / f"{number}-x.push").write_text("garbage")
    add(spool, "99999-z")
    began = time.monotonic()
    finish(forked(lambda: Supervisor(spool, lambda app: do_all(spool, app)).run(NONE, watch=False)), 30)
    assert spool.names() == NONE
    assert ran(spool) == ["o/r"]
    assert time.monotonic() - began < 20
