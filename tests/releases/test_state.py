"""state.db: what is recorded comes back, also after a kill in the middle of writing."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy.errors import UnfitError
from gitdeploy.releases.records import Seen, as_json
from gitdeploy.releases.state import State, StateUnfit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def test_a_deployment_from_queue_to_end(path: Path) -> None:
    with State(path) as state:
        number = state.enqueue(
            "o/r", "100-a", trigger="push", created=100.0, ref="refs/heads/main", commit_id="c" * 40, pusher="al"
        )
        assert state.enqueue("o/r", "100-a", trigger="push", created=100.0) == number
        assert [d.id for d in state.unfinished()] == [number]
        build = state.stage(number, "Build", 101.0)
        state.end_stage(build, 2.5, "succeeded")
        state.update(number, status="succeeded", version="1.0", finished=104.0, retained=1)
    with State(path) as state:
        deployment = state.by_record("100-a")
        assert deployment is not None
        assert deployment.ended
        assert deployment.retained
        assert state.live("o/r") == deployment == state.releases("o/r")[0] == state.released("o/r", "1.0")
        shown = as_json(deployment, state.stages(number))
        assert shown["stages"] == [{"name": "Build", "started": 101.0, "seconds": 2.5, "status": "succeeded"}]
        assert "config" not in shown
        assert state.apps() == ["o/r"]
        assert state.unfinished("o/r") == []


def test_history_is_newest_first_and_per_app(path: Path) -> None:
    with State(path) as state:
        for i in range(5):
            state.enqueue("o/r" if i % 2 else "o/s", f"{i}-x", trigger="push", created=float(i))
        assert [d.record for d in state.history("o/s", 2)] == ["4-x", "2-x"]


def test_unknown_columns_are_a_defect(path: Path) -> None:
    with State(path) as state, pytest.raises(KeyError, match="status; DROP TABLE"):
        state.update(1, **{"status; DROP TABLE deployments": 1})


def test_a_new_file_counts_on_above_what_was_there(path: Path) -> None:
    with State(path, first_id=42) as state:
        assert state.enqueue("o/r", "1-a", trigger="push", created=1.0) == 42


def test_the_file_is_private(path: Path) -> None:
    before = os.umask(0)
    try:
        State(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_threads_share_it(path: Path) -> None:
    with State(path) as state:
        numbers: list[int] = []
        threads = [
            threading.Thread(
                target=lambda t=t: numbers.extend(
                    state.enqueue("o/r", f"{t}-{i}", trigger="push", created=1.0) for i in range(20)
                )
            )
            for t in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 81))


def test_a_kill_in_the_middle_of_writing_leaves_it_whole(path: Path) -> None:
    State(path).close()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with State(path) as state:
            os.write(write, b"x")
            for i in range(100_000):
                number = state.enqueue("o/r", f"{i}-a", trigger="push", created=1.0)
                state.update(number, status="succeeded", version=str(i))
        os._exit(0)
    os.read(read, 1)
    threading.Event().wait(0.3)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with State(path) as state:
        rows = state.history("o/r", 100_000)
        assert rows
        assert all(row.status == "succeeded" for row in rows[1:])
        assert len(state.unfinished()) <= 1
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_damaged_file_is_said_with_what_to_do(path: Path) -> None:
    path.write_bytes(b"this is no database, " * 500)
    with pytest.raises(UnfitError, match=r"cannot be opened: file is not a database") as caught:
        State(path)
    assert "move" in caught.value.hint


def test_a_newer_format_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(UnfitError, match="newer gitdeploy"):
        State(path)


def test_a_file_of_an_older_gitdeploy_keeps_what_it_has_and_gets_what_it_lacks(path: Path) -> None:
    with State(path, first_id=5) as state:
        assert state.enqueue("o/r", "1-a", trigger="push", created=1.0) == 5
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE bound")
        db.execute("PRAGMA user_version=1")
    with State(path, first_id=3) as state:
        assert state.enqueue("o/r", "2-b", trigger="push", created=2.0) == 6
        assert [row.id for row in state.history("o/r")] == [6, 5]
        assert state.bound("o/r") == ""
        state.bind("o/r", "t1")
        state.bind("o/r", "t2")
        assert (state.bound("o/r"), state.bound("o/other")) == ("t2", "")


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnfitError):
        State(path)
    assert not (tmp_path / "elsewhere").exists()


def test_numbers_go_on_above_what_the_engine_knows(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        state.count_above(0)
        assert state.enqueue("o/r", "1-a", trigger="push", created=1.0) == 1
        state.count_above(7)
        state.count_above(3)
        assert state.enqueue("o/r", "2-b", trigger="push", created=2.0) == 8


def test_ends_are_recorded_while_other_threads_write_and_read(path: Path) -> None:
    with State(path) as state:
        numbers = [state.enqueue("o/r", f"{i}-a", trigger="push", created=1.0) for i in range(300)]
        stop, wrong = threading.Event(), []

        def busy(work: Callable[[], object]) -> None:
            while not stop.is_set():
                try:
                    work()
                except Exception as error:
                    wrong.append(error)

        jobs = (lambda: state.stage(numbers[0], "Build", 1.0), lambda: state.history("o/r", 5), lambda: state.live("o/r"))
        threads = [threading.Thread(target=busy, args=[job]) for job in jobs]
        for thread in threads:
            thread.start()
        for number in numbers:
            state.end(number, "succeeded", finished=2.0)
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong
        assert all(row.status == "succeeded" for row in state.history("o/r", 1000))


def test_an_end_is_on_the_disk_when_it_is_recorded(path: Path) -> None:
    """Each end is committed at synchronous=FULL, whatever other threads do at that moment."""
    with State(path) as state:
        seen: list[str] = []
        level = 1
        statements = []

        def trace(statement: str) -> None:
            nonlocal level
            statements.append(statement)
            if statement.startswith("PRAGMA synchronous="):
                level = {"NORMAL": 1, "FULL": 2}[statement.partition("=")[2]]
            if statement.startswith("UPDATE deployments SET status"):
                seen.append(f"end at {level}")

        numbers = [state.enqueue("o/r", f"{i}-a", trigger="push", created=1.0) for i in range(50)]
        state._db.set_trace_callback(trace)
        stop = threading.Event()
        other = threading.Thread(target=lambda: [state.end(numbers[0], "failed") for _ in iter(stop.is_set, True)])
        other.start()
        for number in numbers[1:]:
            state.end(number, "succeeded")
        stop.set()
        other.join()
        assert set(seen) == {"end at 2"}
        assert level == 1


def test_many_workers_make_the_file_at_once(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from gitdeploy.releases.state import State\n"
        "os.read(0, 1)\n"
        "with State(Path(sys.argv[1]), 42) as state: state.enqueue('o/r', sys.argv[2], trigger='push', created=1.0)\n"
    )
    for attempt in range(5):
        path = tmp_path / f"{attempt}.db"
        read, write = os.pipe()
        workers = [
            subprocess.Popen([sys.executable, "-c", script, path, f"{n}-a"], stdin=read, stderr=subprocess.PIPE, text=True)
            for n in range(6)
        ]
        os.write(write, b"xxxxxx")
        assert [worker.communicate(timeout=60)[1] for worker in workers] == [""] * 6
        os.close(read)
        os.close(write)
        with State(path) as state:
            assert sorted(row.id for row in state.history("o/r")) == list(range(42, 48))
        assert [left.name for left in tmp_path.glob(f".{attempt}.db*")] == []


def test_what_a_killed_maker_left_is_no_trouble(path: Path) -> None:
    path.with_name(".state.db.new").write_text("half a database")
    with State(path) as state:
        assert state.apps() == []
    assert not path.with_name(".state.db.new").exists()


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_something_else_than_a_file_is_said(kind: str, path: Path) -> None:
    path.mkdir() if kind == "directory" else os.mkfifo(path)
    with pytest.raises(StateUnfit, match="expected a regular file"):
        State(path)


def test_a_file_that_breaks_while_it_is_open_is_said(path: Path) -> None:
    with State(path) as state:
        state.enqueue("o/r", "1-a", trigger="push", created=1.0)
        with sqlite3.connect(path) as db:
            db.execute("DROP TABLE deployments")
        with pytest.raises(StateUnfit, match="cannot be read"):
            state.history("o/r")
        with pytest.raises(StateUnfit, match="cannot be written"):
            state.end(1, "failed")


def test_names_that_are_no_text_are_kept_readable_and_found(path: Path) -> None:
    with State(path) as state:
        number = state.enqueue("o/r", "1-a", trigger="push", created=1.0, ref="refs/heads/\udcff\ud800")
        state.update(number, subject="\udcff")
        row = state.deployment(number)
        assert row
        row.ref.encode()
        assert state.newest("o/r", "refs/heads/\udcff\ud800") == row


def test_what_is_to_be_hidden_is_hidden_in_texts_alone(path: Path) -> None:
    with State(path) as state:
        number = state.enqueue("o/r", "1-a", trigger="push", created=1.0, ref="refs/heads/secret")
        state.hide = lambda text: text.replace("secret", "***")
        state.end(number, "failed", error="a secret", hint="secret", version="secret")
        row = state.deployment(number)
        assert row
        assert (row.error, row.hint, row.ref, row.version) == ("a ***", "***", "refs/heads/secret", "secret")


def test_what_is_out_of_service(path: Path) -> None:
    with State(path) as state:
        assert state.stopped("o/r") is None
        state.set_stopped("o/r", 5.0)
        state.set_stopped("o/r", 6.0)
        assert (state.stopped("o/r"), state.stopped("o/s")) == (6.0, None)
        state.set_stopped("o/r", None)
        assert state.stopped("o/r") is None


def test_how_many_are_asked_for_stays_and_is_what_is_live(path: Path) -> None:
    with State(path) as state:
        live = state.enqueue("o/r", "100-a", trigger="push", created=100.0)
        assert state.scales("o/r") == {}
        state.set_scale("o/r", "worker", 3, live, "{}")
        state.set_scale("o/r", "worker", 0)
        state.set_scale("o/r", "web", 2)
        assert (state.scales("o/r"), state.scales("o/s")) == ({"worker": 0, "web": 2}, {})
        found = state.deployment(live)
        assert found
        assert found.config == "{}"
        state.set_scale("o/r", "web", None)
        state.rename("o/r", "o/s")
        assert (state.scales("o/r"), state.scales("o/s")) == ({}, {"worker": 0})


def test_a_tip_that_was_dealt_with_is_kept_where_refs_are_watched(path: Path) -> None:
    with State(path) as state:
        state.see("o/r", {"refs/heads/main": "a" * 40})
        assert state.seen("o/r") is None
        state.remember("o/r", Seen(("refs/heads/*",), {"refs/heads/x": "b" * 40}))
        state.see("o/r", {"refs/heads/main": "a" * 40})
        state.see("o/r", {})
        assert state.seen("o/r") == Seen(("refs/heads/*",), {"refs/heads/x": "b" * 40, "refs/heads/main": "a" * 40})


def test_all_of_an_app_gets_another_name(path: Path) -> None:
    with State(path) as state:
        number = state.enqueue("o/old", "100-a", trigger="push", created=100.0)
        state.end(number, "succeeded", config='{"name": "o/old", "image": "x"}', retained=1)
        state.enqueue("o/old", "101-b", trigger="push", created=101.0)
        state.remember("o/old", Seen((), {}))
        state.remember("o/new", Seen(("x",), {}))
        state.bind("o/old", "token")
        state.set_stopped("o/old", 5.0)
        for _ in range(2):
            state.rename("o/old", "o/new")
        assert state.apps() == ["o/new"]
        assert [d.config for d in state.history("o/new")] == ["", '{"name":"o/new","image":"x"}']
        assert (state.seen("o/new"), state.bound("o/new"), state.stopped("o/new")) == (Seen((), {}), "token", 5.0)
