"""Spool, locks and records hold their promises whatever is called in whatever order, and whenever a process is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import tempfile
from contextlib import ExitStack
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from gitdeploy.intake.push import PushRecord, RefUpdate
from gitdeploy.intake.spool import Spool
from gitdeploy.releases.records import ENDED, Status
from gitdeploy.releases.state import State

APPS = ("devops/a", "devops/b")
COMMIT = "1" * 40


class SpoolAndRecords(RuleBasedStateMachine):
    """A worker's life with the spool and state.db, in which every process may end at any time.

    The model: names that wait, names whose deployment has ended, and who holds which lock.
    """

    records = Bundle("records")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.home = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        (self.home / "spool").mkdir()
        self.spool = Spool(self.home)
        self.state = State(self.home / "state.db")
        self.waiting: dict[str, PushRecord] = {}
        self.ids: dict[str, int] = {}
        self.ended: dict[str, str] = {}
        self.held: dict[str, ExitStack] = {}
        self.clock = 1_700_000_000

    def teardown(self) -> None:
        for lock in self.held.values():
            lock.close()
        self.state.close()
        self.stack.close()

    @initialize()
    def nothing_waits(self) -> None:
        assert self.spool.pending() == ([], {})

    @rule(
        target=records,
        app=st.sampled_from(APPS),
        step=st.integers(-3600, 3600),  # the clock jumps
        user=st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)), max_size=20),
        options=st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=10), max_size=2),
    )
    def push(self, app: str, step: int, user: str, options: list[str]) -> str:
        self.clock += step
        name = f"{self.clock}-{len(self.ids):06d}"
        ref = RefUpdate("0" * 40, COMMIT, "refs/heads/main")
        record = PushRecord(
            name, app, "/repo", (ref,), user="".join(c for c in user if c.isprintable()), options=tuple(options)
        )
        self.spool.add(record)
        self.waiting[name] = record
        self.ids[name] = 0
        return name

    @rule(name=records)
    def enqueue(self, name: str) -> None:
        app = self.waiting[name].app if name in self.waiting else APPS[0]
        number = self.state.enqueue(app, name, trigger="push", created=0.0)
        assert self.ids[name] in (0, number), "a record has one deployment for ever"
        self.ids[name] = number

    @rule(name=records, status=st.sampled_from(ENDED))
    def end(self, name: str, status: Status) -> None:
        if self.ids[name]:
            self.state.end(self.ids[name], status, finished=1.0)
            self.ended[name] = status

    @rule(name=consumes(records))
    def done(self, name: str) -> None:
        self.spool.done(name)
        self.spool.done(name)
        self.waiting.pop(name, None)

    @rule(app=st.sampled_from(APPS))
    def lock(self, app: str) -> None:
        stack = ExitStack()
        got = stack.enter_context(self.spool.lock(app))
        assert got == (app not in self.held)
        if got:
            self.held[app] = stack
        else:
            stack.close()
        assert self.spool.locked(app)

    @rule(app=st.sampled_from(APPS))
    def unlock(self, app: str) -> None:
        if app in self.held:
            self.held.pop(app).close()
        assert not self.spool.locked(app)

    @rule(app=st.sampled_from(APPS))
    def cancel(self, app: str) -> None:
        self.spool.cancels.ask(app, 1)
        assert self.spool.cancels.asked(app, 1)
        assert not self.spool.cancels.asked(app, 2)
        self.spool.cancels.forget(app)
        assert not self.spool.cancels.asked(app, 1)

    @rule(garbage=st.binary(max_size=200), name=st.sampled_from(["x", "1-garbage", "9-9.9", "1-" + "a" * 70]))
    def garbage(self, garbage: bytes, name: str) -> None:
        (self.spool.directory / f"{name}.push").write_bytes(garbage)
        found, bad = self.spool.pending()
        assert {record.name for record in found} == set(self.waiting)
        for file in bad:
            self.spool.set_aside(file)

    @rule()
    def restart(self) -> None:
        self.state.close()
        self.spool = Spool(self.home)
        self.spool.sweep()
        self.spool.persist()
        self.state = State(self.home / "state.db")

    @invariant()
    def what_waits_is_what_was_pushed(self) -> None:
        found, bad = self.spool.pending()
        assert {record.name: record for record in found} == self.waiting
        assert [record.order for record in found] == sorted(record.order for record in found)
        assert bad == {}

    @invariant()
    def history_is_what_happened(self) -> None:
        for name, number in self.ids.items():
            row = self.state.by_record(name)
            assert (row.id if row else 0) == number
            assert (row.status if row and row.ended else None) == self.ended.get(name)
        unfinished = {row.record for row in self.state.unfinished()}
        assert unfinished == {name for name, number in self.ids.items() if number and name not in self.ended}


SpoolAndRecords.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
test_spool_and_records = pytest.mark.timeout(300)(SpoolAndRecords.TestCase)


class DyingDatabase:
    """A database connection whose process is killed before the n-th statement, or right after it."""

    def __init__(self, db: sqlite3.Connection, statement: int, after: bool) -> None:
        self._db = db
        self._left = statement
        self._after = after

    def execute(self, *arguments: object) -> sqlite3.Cursor:
        self._left -= 1
        if self._left == 0 and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = self._db.execute(*arguments)  # type: ignore[arg-type]
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def deploy_and_die(path: Path, statement: int, after: bool) -> None:
    """In a process of its own: what a worker writes during one deployment, killed at some statement."""
    state = State(path)
    state._db = DyingDatabase(state._db, statement, after)  # type: ignore[assignment]
    number = state.enqueue("devops/a", "2-new", trigger="push", created=2.0)
    state.update(number, status="running", attempts=1)
    stage = state.stage(number, "Build", 2.0)
    state.end_stage(stage, 1.0, "succeeded")
    state.end(number, "succeeded", finished=3.0, retained=1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statement=st.integers(1, 20), after=st.booleans())
def test_state_survives_a_kill_at_any_statement(statement: int, after: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "state.db")
        with State(path) as state:
            first = state.enqueue("devops/a", "1-old", trigger="push", created=1.0)
            state.end(first, "succeeded", finished=1.5)
        process = multiprocessing.get_context("fork").Process(target=deploy_and_die, args=(path, statement, after))
        process.start()
        process.join()
        with State(path) as state:
            assert state._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            old, new = state.by_record("1-old"), state.by_record("2-new")
            assert old is not None and old.status == "succeeded"
            if new is not None:
                assert (new.status, new.attempts) in {("queued", 0), ("running", 1), ("succeeded", 1)}
                assert (new.finished is None) == (new.status != "succeeded")
                assert (process.exitcode == 0) <= (new.status == "succeeded")
            assert state.enqueue("devops/a", "2-new", trigger="push", created=2.0) == first + 1


def hold(home: Path, ready: multiprocessing.synchronize.Event) -> None:
    with Spool(home).lock("devops/a") as got:
        assert got
        ready.set()
        signal.pause()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(10)
    assert Spool(tmp_path).locked("devops/a")
    holder.kill()
    holder.join()
    assert not Spool(tmp_path).locked("devops/a")
