"""One app's worker on real repositories, spool and state.db: what one push brings up is the end of that push alone.

The engine is the one in memory: here it is only there to go away, or to be waited for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.intake.push import RefUpdate
from gitdeploy.releases.state import StateUnfit
from gitdeploy.source import tar
from gitdeploy.source.reader import RemoteRepository
from tests.support.net import wait_until
from tests.worker.scene import APP, DOCKERFILE, EXTRA, Scene, raising


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
    real = RemoteRepository.holds

    def holds(repository: RemoteRepository, commit: str) -> bool:
        raising(error, commit == "b" * 40)
        return real(repository, commit)

    monkeypatch.setattr(RemoteRepository, "holds", holds)
    scene.worker().run()
    assert scene.row(good).status == "succeeded"
    assert scene.row(bad).status == "failed"
    assert f"gitdeploy itself failed ({type(error).__name__})" in scene.row(bad).error
    assert "odd" not in scene.row(bad).error
    assert "Traceback" in scene.log()
    assert scene.site.spool.names() == frozenset()


def test_a_defect_in_one_round_ends_its_pushes_and_no_later_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scene.push("1")
    worker = scene.worker()
    with monkeypatch.context() as patch:
        patch.setattr(worker.ledger, "told_twice", lambda *_: raising(RuntimeError("boom"), True))
        worker.run()
    assert scene.row(first).status == "failed"
    second = scene.push("2")
    scene.worker().run()
    assert scene.row(second).status == "succeeded"


def test_a_push_that_cannot_even_be_refused_is_set_aside(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scene.push("1")
    worker = scene.worker()
    with monkeypatch.context() as patch:
        patch.setattr(worker.ledger, "enqueue", lambda *_: raising(RuntimeError("boom"), True))
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
        monkeypatch.setattr("gitdeploy.worker.site.Site.drop_old_logs", lambda *_: raising(RuntimeError("boom"), True))
    else:
        monkeypatch.setattr(f"gitdeploy.worker.afterwards.{what}", lambda *_, **__: raising(RuntimeError("boom"), True))
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
            wait_until(lambda: scene.row(record).attempts == 0, 20, "the attempt's being taken back")
            attempts.append(0)

    scene.engine.before = before
    scene.worker().run()
    assert attempts == [1, 0]


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


def test_a_reader_that_lies_has_nothing_built(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    record = scene.push("1")
    lie = b"FROM evil\n"

    def stream(context: object, hide: bool) -> Iterator[bytes]:
        yield tar.file(b"Dockerfile", len(lie)) + lie + tar.padding(len(lie)) + tar.END

    monkeypatch.setattr("gitdeploy.source.remotecontext.RemoteContext._chunks", stream)
    before = scene.engine.images({})
    scene.worker().run()
    assert (scene.row(record).status, scene.row(record).stage) == ("failed", "Build")
    assert "the build context changed while it was read" in scene.row(record).error
    assert scene.engine.images({}) == before
