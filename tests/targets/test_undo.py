"""All that undoes a rollout is tried, what restores traffic first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gitdeploy.errors import EngineError, EngineGone, StageFailed
from gitdeploy.targets.undo import Undo
from tests.support.recorder import Recorder


def raising(error: Exception) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def test_traffic_first_then_the_rest_each_in_reverse() -> None:
    done: list[str] = []
    undo = Undo(Recorder())
    for name in ("remove 1", "revert", "remove 2", "start"):
        undo.add(name, lambda name=name: done.append(name), traffic=name in ("revert", "start"))  # type: ignore[misc]
    assert undo.run() == []
    assert done == ["start", "revert", "remove 2", "remove 1"]


def test_nothing_is_undone_where_nothing_failed_and_nothing_twice() -> None:
    done: list[int] = []
    undo = Undo(Recorder())
    undo.add("it", lambda: done.append(1))
    with undo.on_failure():
        pass
    assert done == []
    undo.run()
    undo.run()
    assert done == [1]


def test_what_fails_is_told_and_keeps_nothing_from_being_tried() -> None:
    done: list[str] = []
    told = Recorder()
    undo = Undo(told)
    undo.add("removing the new one", lambda: done.append("removed"))
    undo.add("starting the old one", raising(EngineError("it answered 500", 500)), traffic=True)
    undo.add("a defect", raising(KeyError("x")))
    with pytest.raises(StageFailed) as caught, undo.on_failure():
        raise StageFailed("not healthy", "see its log")
    assert done == ["removed"]
    assert caught.value.reason == "not healthy"
    assert caught.value.hint.startswith("undoing it failed too (starting the old one: it answered 500; a defect: KeyError")
    assert caught.value.hint.endswith("see its log")
    assert told.lines[0] == "undoing it failed too: starting the old one: it answered 500"


def test_an_engine_that_is_gone_leaves_the_rest_to_recovery() -> None:
    done: list[int] = []
    undo = Undo(Recorder())
    undo.add("later", lambda: done.append(1))
    undo.add("first", raising(EngineGone("nothing answers")))
    with pytest.raises(EngineGone), undo.on_failure():
        raise StageFailed("not healthy")
    assert done == []
