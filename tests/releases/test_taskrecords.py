"""Tasks in state.db."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitdeploy.releases.records import TaskRecord
from gitdeploy.releases.schema import SCHEMA_VERSION
from gitdeploy.releases.state import State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as state:
        for number, app in enumerate(("a/shop", "a/shop", "a/other"), 1):
            state.enqueue(app, f"{number}-r", trigger="push", created=1.0)
        yield state


def test_a_task_is_open_until_its_end_is_noted(state: State) -> None:
    state.begin_task(1, "migrate", "before-switch", 5.0)
    state.begin_task(3, "migrate", "before-switch", 6.0)
    assert state.open_tasks("a/shop") == [TaskRecord(1, "migrate", "before-switch", 5.0, None, None)]
    state.end_task(1, "migrate", 7.0, 3)
    state.end_task(1, "never-begun", 7.0, 0)
    assert state.open_tasks("a/shop") == []
    assert state.task(1, "migrate") == TaskRecord(1, "migrate", "before-switch", 5.0, 7.0, 3)
    assert state.task(1, "never-begun") is None
    state.begin_task(1, "migrate", "before-switch", 8.0)
    assert state.task(1, "migrate") == TaskRecord(1, "migrate", "before-switch", 8.0, None, None)


def test_tasks_since_a_deployment(state: State) -> None:
    for number, name, moment in ((1, "migrate", "before-switch"), (2, "migrate", "before-switch"), (2, "warm", "after-switch")):
        state.begin_task(number, name, moment, 5.0)
    assert [(task.deployment, task.name) for task in state.tasks_since("a/shop", 1, "before-switch")] == [(2, "migrate")]
    state.rename("a/shop", "b/shop")
    assert len(state.tasks_since("b/shop", 0, "before-switch")) == 2


def test_a_file_of_an_older_gitdeploy_gets_the_table(tmp_path: Path) -> None:
    State(tmp_path / "old.db").close()
    with sqlite3.connect(tmp_path / "old.db") as db:
        db.execute("DROP TABLE tasks")
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION - 1}")
    with State(tmp_path / "old.db") as state:
        assert state.open_tasks("a/shop") == []
