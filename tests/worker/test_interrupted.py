"""What a crash, a stop or a cancel leaves is put right, and told to those who wait."""

from __future__ import annotations

import os
import threading
import time

import pytest

from gitdeploy.errors import EngineError, EngineGone
from gitdeploy.intake.push import PushRecord, RefUpdate
from tests.support.net import wait_until
from tests.worker.scene import APP, EXTRA, Scene, raising


def interrupted(scene: Scene) -> PushRecord:
    """A push whose deployment was cut off by a crash before it had changed anything."""
    record = scene.push("1")
    number = scene.state.enqueue(APP, record.name, trigger="push", created=1.0, ref="refs/heads/main")
    scene.state.update(number, status="running", started=1.0, attempts=1)
    return record


class Killed(BaseException):
    """As kill -9 would have it: nothing is put right after it."""


@pytest.mark.parametrize("moved", [False, True])
def test_what_an_attempt_has_pushed_is_not_pushed_again_where_it_went(moved: bool, scene: Scene) -> None:
    config = scene.installed.home / "config.toml"
    config.write_text(config.read_text().replace("push = { enabled = false }", ""))
    record = scene.push("1")

    def kill(name: str) -> None:
        if name == "start":
            raise Killed

    scene.engine.before = kill
    with pytest.raises(Killed):
        scene.worker().run()
    assert scene.engine.calls.count("push") == 2
    assert scene.row(record).digest
    if moved:
        config.write_text(config.read_text().replace("registry.example/", "other.example/"))
    scene.engine.before = lambda name: None
    scene.worker().run()
    assert scene.row(record).status == "succeeded", scene.row(record)
    assert scene.engine.calls.count("push") == (4 if moved else 2)


def test_a_cancel_hits_its_own_deployment_and_no_later_one(scene: Scene) -> None:
    first = interrupted(scene)
    scene.site.spool.cancels.ask(APP, scene.row(first).id)
    scene.worker().run()
    assert scene.row(first).status == "cancelled"
    second = scene.push("2")
    scene.worker().run()
    assert scene.row(second).status == "succeeded"
    assert list(scene.site.spool.locks.rglob("*.cancel")) == []


def test_a_cancel_of_what_has_ended_is_forgotten(scene: Scene) -> None:
    first = scene.push("1")
    scene.worker().run()
    scene.site.spool.cancels.ask(APP, scene.row(first).id)
    second = scene.push("2")
    scene.site.spool.cancels.ask(APP, scene.row(first).id)
    scene.worker().run()
    assert scene.row(second).status == "succeeded"
    assert list(scene.site.spool.locks.rglob("*.cancel")) == []


def test_a_cancel_ends_the_wait_for_an_engine(scene: Scene) -> None:
    record, away = scene.push("1"), threading.Event()

    def before(name: str) -> None:
        if name == "build":
            away.set()
        if away.is_set():
            raise EngineGone("nothing answers")

    scene.engine.before = before
    caught: list[BaseException] = []

    def run() -> None:
        try:
            scene.worker().run()
        except EngineGone as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(away.is_set, 10, "the engine's going")
    scene.site.spool.cancels.ask(APP, scene.row(record).id)
    thread.join(10)
    assert not thread.is_alive()
    assert caught
    assert scene.row(record).status == "running", "what it left is still to be put right"
    scene.engine.before = lambda name: None
    scene.worker().run()
    assert scene.row(record).status == "cancelled"
    assert scene.site.spool.names() == frozenset()


def test_who_pushes_during_recovery_is_told_what_they_wait_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = interrupted(scene)
    told: list[bytes] = []

    def slow(*_: object, **__: object) -> int:
        scene.record(RefUpdate("0" * 40, scene.row(first).commit_id or "a" * 40, "refs/heads/main"), console="yes")
        reader = scene.reader
        wait_until(lambda: b"yours is next" in (told.append(_read(reader)) or b"".join(told)), 20, "a word")
        threading.Thread(target=lambda: (os.set_blocking(reader, True), os.read(reader, 10000)), daemon=True).start()
        return 0

    monkeypatch.setattr("gitdeploy.targets.docker.dockerreleases.recover", slow)
    scene.worker().run()
    assert b"was interrupted and is being put right; yours is next" in b"".join(told)


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 10000)
    except BlockingIOError:
        return b""


def test_a_push_between_the_choice_and_the_watch_is_seen(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    path = scene.site.home / "config.toml"
    path.write_text(path.read_text().replace(EXTRA, f'\non_new_push = "cancel"{EXTRA}'))
    first = scene.push("1")
    worker, late = scene.worker(), []
    real = worker.ledger.is_live

    def is_live(commit: str) -> bool:
        if not late:
            late.append(scene.push("2"))
            # For the other thread to judge it, which needs a reader of its own; the build of the fake would be over at once.
            scene.engine.before = lambda name: time.sleep(3) if name == "build" else None
        return real(commit)

    monkeypatch.setattr(worker.ledger, "is_live", is_live)
    worker.run()
    assert scene.row(first).status == "superseded"
    assert scene.row(late[0]).status == "succeeded"


@pytest.mark.parametrize("error", [RuntimeError("boom"), EngineError("it answered 500", 500)])
def test_what_cannot_be_put_right_stops_no_later_push(error: Exception, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = interrupted(scene)
    scene.site.spool.done(first.name)
    second = scene.push("2")
    monkeypatch.setattr("gitdeploy.targets.docker.dockerreleases.recover", lambda *_, **__: raising(error, True))
    scene.worker().run()
    assert scene.row(first).status == "failed"
    assert "could not be put right" in scene.row(first).error
    assert scene.row(second).status == "succeeded"


def test_an_engine_that_is_away_during_recovery_is_tried_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = interrupted(scene)
    monkeypatch.setattr("gitdeploy.targets.docker.dockerreleases.recover", lambda *_, **__: raising(EngineGone("away"), True))
    with pytest.raises(EngineGone):
        scene.worker().run()
    assert scene.row(first).status == "running"
    assert scene.site.spool.names() == {first.name}
