"""One app's worker on real repositories, spool and state.db: what one push brings up is the end of that push alone.

The engine is the one in memory: here it is only there to go away, or to be waited for.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gitdeploy.cli.context import make_site
from gitdeploy.errors import EngineError, EngineGone
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.intake.push import PushRecord, RefUpdate, Trigger
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State, StateUnfit
from gitdeploy.source.reader import Repository
from gitdeploy.terminal import console
from gitdeploy.worker.appworker import Worker
from gitdeploy.worker.site import Site
from tests.support.apps import SampleApp
from tests.support.fake_engine import FakeEngine
from tests.support.gogs import Gogs
from tests.support.installed import Installed, install
from tests.support.net import wait_until

APP = "devops/dev-app"
EXTRA = '\npush = { enabled = false }\nhealth = { min_uptime = "0s", interval = "10ms" }\n'
DOCKERFILE = "FROM gitdeploy-test/busybox:1\nCOPY VERSION /\n"


@dataclass
class Scene:
    """An installation with one enrolled app whose worker runs in this process."""

    installed: Installed
    site: Site
    state: State
    clone: SampleApp
    engine: FakeEngine
    stop: CancelFlag = field(default_factory=CancelFlag)
    _names: int = 0

    def push(self, version: str, trigger: Trigger = "push", commit: str = "") -> PushRecord:
        """Moves main in the repository, without hooks, and puts a record of that into the spool."""
        new = commit or self.clone.release(version, {"Dockerfile": DOCKERFILE})
        if not commit:
            self.send()
        return self.record(RefUpdate("0" * 40, new, "refs/heads/main"), trigger)

    def send(self, ref: str = "refs/heads/main") -> None:
        """Brings the newest commit into the repository, without its hooks."""
        command = ["git", "-C", self.installed.gogs.repository(APP), "-c", "core.hooksPath=/dev/null", "fetch", "--quiet"]
        subprocess.run([*command, self.clone.path, f"+HEAD:{ref}"], check=True)

    def record(self, ref: RefUpdate, trigger: Trigger = "push", console: str = "") -> PushRecord:
        """Puts a record into the spool; `console` is a word: its FIFO is made."""
        self._names += 1
        name = f"{int(time.time()) + self._names}-{self._names}"
        if console:
            os.mkfifo(self.site.spool.directory / f"{name}.console")
        record = PushRecord(name, APP, "", (ref,), user="alice", trigger=trigger, console=f"{name}.console" if console else "")
        self.site.spool.add(record)
        return record

    def worker(self) -> Worker:
        """A worker of its own for each run, as after a crash."""
        return Worker(self.site, APP, self.state, self.stop)

    def row(self, record: PushRecord) -> Deployment:
        row = self.state.by_record(record.name)
        assert row
        return row

    def audit(self) -> list[dict[str, object]]:
        """All lines of the audit log."""
        return [json.loads(line) for line in (self.site.home / "audit.jsonl").read_text().splitlines()]

    def log(self) -> str:
        return (self.site.home / "logs" / "gitdeploy.log").read_text()


@pytest.fixture
def scene(gogs_dir: Gogs, sample_app: SampleApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr("gitdeploy.targets.docker.health.Waiter.wait", lambda *_: None)  # nothing listens there

    installed = install(gogs_dir, {})
    before = os.umask(0o077)
    installed.enrol(APP, "registry.example/dev-app", 8080, EXTRA)
    engine = FakeEngine()
    engine.add_image("gitdeploy-test/busybox:1")
    site = replace(
        make_site({"GITDEPLOY_HOME": str(installed.home)}),
        connect=lambda: engine,
        refresh_hook=lambda app, config, path: None,
    )
    console.setup(site.home / "logs" / "gitdeploy.log")
    with site.open_state() as state:
        yield Scene(installed, site, state, sample_app, engine)
    console.setup(None)
    os.umask(before)


def test_a_good_push_is_deployed_and_audited(scene: Scene) -> None:
    record = scene.push("1")
    scene.worker().run()
    assert scene.row(record).status == "succeeded", scene.row(record)
    assert scene.site.spool.names() == frozenset()
    enrol, config, line = scene.audit()
    assert (enrol["how"], enrol["verdict"], enrol["uid"]) == ("enrol", "done", os.getuid())
    assert (config["how"], config["verdict"]) == ("config", "first seen"), "it was edited by hand"
    row = scene.row(record)
    assert line["verdict"] == "succeeded"
    assert (line["who"], line["how"], line["app"], line["new"]) == ("alice", "push", APP, row.commit_id)
    assert (line["deployment"], line["version"], line["image"]) == (row.id, "1", row.image)
    assert len(str(line["config"])) == len(str(line["config_toml"])) == 64
    assert line["config_toml"] == config["config_toml"]


@pytest.mark.parametrize("error", [ValueError("odd"), LookupError("codec"), UnicodeDecodeError("x", b"", 0, 1, "odd")])
def test_what_cannot_be_chosen_is_refused_and_the_next_is_deployed(
    error: Exception, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = scene.record(RefUpdate("0" * 40, "b" * 40, "refs/heads/main"))
    good = scene.push("1")
    real = Repository.holds

    def holds(repository: Repository, commit: str) -> bool:
        _raise(error, commit == "b" * 40)
        return real(repository, commit)

    monkeypatch.setattr(Repository, "holds", holds)
    scene.worker().run()
    assert scene.row(good).status == "succeeded"
    assert scene.row(bad).status == "failed"
    assert f"gitdeploy itself failed ({type(error).__name__})" in scene.row(bad).error
    assert "odd" not in scene.row(bad).error
    assert "Traceback" in scene.log()
    assert scene.site.spool.names() == frozenset()


def _raise(error: Exception, really: bool) -> None:
    if really:
        raise error


def test_a_defect_in_one_round_ends_its_pushes_and_no_later_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scene.push("1")
    worker = scene.worker()
    with monkeypatch.context() as patch:
        patch.setattr(worker.ledger, "told_twice", lambda *_: _raise(RuntimeError("boom"), True))
        worker.run()
    assert scene.row(first).status == "failed"
    second = scene.push("2")
    scene.worker().run()
    assert scene.row(second).status == "succeeded"


def test_a_push_that_cannot_even_be_refused_is_set_aside(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scene.push("1")
    worker = scene.worker()
    with monkeypatch.context() as patch:
        patch.setattr(worker.ledger, "enqueue", lambda *_: _raise(RuntimeError("boom"), True))
        worker.run()
    assert (scene.site.spool.directory / f".{first.name}.push.bad").exists()
    second = scene.push("2")
    scene.worker().run()
    assert scene.row(second).status == "succeeded"


def test_a_ref_that_is_no_text_is_that_pushs_failure(scene: Scene) -> None:
    path = scene.site.home / "config.toml"
    path.write_text(path.read_text().replace(EXTRA, f'\nbranch = ["main", "x*"]{EXTRA}'))
    commit = scene.clone.release("1", {"Dockerfile": DOCKERFILE})
    scene.send("refs/heads/aside")
    odd = scene.record(RefUpdate("0" * 40, commit, "refs/heads/x\udcff"))
    scene.worker().run()
    good = scene.push("2")
    scene.worker().run()
    assert scene.site.spool.names() == frozenset()
    row = scene.state.by_record(odd.name)
    assert row is None or row.ended
    assert scene.row(good).status == "succeeded"


def test_a_log_that_cannot_be_opened_is_the_deployments_failure(scene: Scene) -> None:
    record = scene.push("1")
    (scene.site.home / "logs" / APP / "1.log").mkdir(parents=True)
    scene.worker().run()
    assert scene.row(record).status == "failed"
    assert "Is a directory" in scene.row(record).error
    second = scene.push("2")
    scene.worker().run()
    assert scene.row(second).status == "succeeded"


@pytest.mark.parametrize("what", ["prune", "notify", "_tell", "old logs"])
def test_nothing_after_the_end_fails_a_deployment(what: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    record = scene.push("1")
    if what == "old logs":
        odd = scene.site.home / "logs" / APP / "1x.log"
        odd.parent.mkdir(parents=True)
        odd.touch()
    else:
        monkeypatch.setattr(f"gitdeploy.worker.afterwards.{what}", lambda *_, **__: _raise(RuntimeError("boom"), True))
    scene.worker().run()
    assert scene.row(record).status == "succeeded"
    assert scene.site.spool.names() == frozenset()
    assert "the deployment is not affected" in scene.log()


def test_a_record_whose_deployment_has_ended_goes_while_the_config_is_in_error(scene: Scene) -> None:
    ended, fresh = scene.push("1"), scene.push("2")
    number = scene.state.enqueue(APP, ended.name, trigger="push", created=1.0)
    scene.state.end(number, "succeeded")
    scene.installed.configure("\nnot toml")
    scene.worker().run()
    assert scene.site.spool.names() == frozenset()
    assert scene.row(ended).status == "succeeded"
    assert scene.row(fresh).status == "failed"
    assert [line["verdict"] for line in scene.audit()[-2:]] == ["succeeded", "failed"]


def test_stops_are_no_attempts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    record = scene.push("1")
    for _ in range(5):
        scene.stop = CancelFlag()
        scene.engine.before = lambda name: scene.stop.set("stop") if name == "build" else None
        scene.worker().run()
        assert scene.row(record).status == "running", scene.row(record).error
        assert scene.row(record).attempts == 0
    scene.stop, scene.engine.before = CancelFlag(), lambda name: None
    scene.worker().run()
    assert scene.row(record).status == "succeeded", scene.row(record)


def test_a_stop_is_no_attempt_even_if_a_kill_follows(scene: Scene) -> None:
    record = scene.push("1")
    attempts: list[int] = []

    def before(name: str) -> None:
        if name == "build":
            attempts.append(scene.row(record).attempts)
            scene.stop.set("stop")
            wait_until(lambda: scene.row(record).attempts == 0, 5, "the attempt's being taken back")
            attempts.append(0)

    scene.engine.before = before
    scene.worker().run()
    assert attempts == [1, 0]


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
        later = scene.record(RefUpdate("0" * 40, scene.row(first).commit_id or "a" * 40, "refs/heads/main"), console="yes")
        reader = os.open(scene.site.spool.directory / later.console, os.O_RDONLY | os.O_NONBLOCK)
        wait_until(lambda: b"yours is next" in (told.append(_read(reader)) or b"".join(told)), 10, "a word")
        threading.Thread(target=lambda: (os.set_blocking(reader, True), os.read(reader, 10000)), daemon=True).start()
        return 0

    monkeypatch.setattr("gitdeploy.targets.docker.dockertarget.recover", slow)
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
    monkeypatch.setattr("gitdeploy.targets.docker.dockertarget.recover", lambda *_, **__: _raise(error, True))
    scene.worker().run()
    assert scene.row(first).status == "failed"
    assert "could not be put right" in scene.row(first).error
    assert scene.row(second).status == "succeeded"


def test_an_engine_that_is_away_during_recovery_is_tried_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = interrupted(scene)
    monkeypatch.setattr("gitdeploy.targets.docker.dockertarget.recover", lambda *_, **__: _raise(EngineGone("away"), True))
    with pytest.raises(EngineGone):
        scene.worker().run()
    assert scene.row(first).status == "running"
    assert scene.site.spool.names() == {first.name}


def test_without_state_db_nothing_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    record = scene.push("1")
    worker = scene.worker()

    def unfit(*_: object, **__: object) -> None:
        raise StateUnfit("state.db cannot be written: disk I/O error")

    monkeypatch.setattr(scene.state, "enqueue", unfit)
    with pytest.raises(StateUnfit):
        worker.run()
    assert scene.site.spool.names() == {record.name}


SECRET = "s3cret-of-the-env-file"


def test_secrets_of_files_are_known_before_checkout(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o700)
    (directory / "env").write_text(f"PASSWORD={SECRET}\n")
    path = scene.site.home / "config.toml"
    path.write_text(path.read_text().replace(EXTRA, f'\nenv_file = "{directory}/env"{EXTRA}'))

    def checkout(*_: object) -> None:
        raise RuntimeError(f"a parser that quotes {SECRET}")

    monkeypatch.setattr("gitdeploy.pipeline.deployment.checkout", checkout)
    record = scene.push("1")
    scene.worker().run()
    assert scene.row(record).status == "failed"
    assert "RuntimeError: a parser that quotes ***" in scene.log()
    for file in scene.site.home.rglob("*"):
        if file.is_file() and file.name != "config.toml":
            assert SECRET.encode() not in file.read_bytes(), file


def test_a_subject_with_a_secret_is_recorded_without_it(scene: Scene, tmp_path: Path) -> None:
    path = scene.site.home / "config.toml"
    path.write_text(path.read_text().replace(EXTRA, f'\nenv = {{ API_TOKEN = "{SECRET}" }}{EXTRA}'))
    scene.clone.release("1", {"Dockerfile": DOCKERFILE})
    scene.clone.git("commit", "--amend", "--quiet", "--message", f"use {SECRET}")
    scene.send()
    record = scene.push("1", commit=scene.clone.git("rev-parse", "HEAD"))
    scene.worker().run()
    assert scene.row(record).subject == "use ***"


def test_every_end_is_audited(scene: Scene) -> None:
    scene.record(RefUpdate("0" * 40, "b" * 40, "refs/heads/other"))
    first, second = scene.push("1"), scene.push("2")
    scene.worker().run()
    scene.installed.configure("\n# edited by hand\n")
    again = scene.push("2", commit=scene.row(second).commit_id)
    scene.worker().run()
    lines = [(line["how"], line["verdict"]) for line in scene.audit()]
    assert lines[2:] == [
        ("push", "dropped"),
        ("push", "superseded"),
        ("push", "succeeded"),
        ("config", "first seen"),
        ("push", "unchanged"),
    ]
    assert {scene.row(record).status for record in (first, second, again)} == {"superseded", "succeeded", "unchanged"}
