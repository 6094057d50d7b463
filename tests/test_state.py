"""state.db: what is recorded comes back, also after a kill in the middle of writing."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from gitdeploy.errors import UnfitError
from gitdeploy.records import as_json
from gitdeploy.state import State


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
