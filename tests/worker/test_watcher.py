"""The watcher on real repositories: what moves a ref, and the record it writes for that."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gitdeploy.cli.installation import make_site
from gitdeploy.errors import StageFailed
from gitdeploy.intake.moves import SETTLE
from gitdeploy.intake.push import PushRecord
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site
from gitdeploy.worker.watcher import SEARCH_INTERVAL, Watcher, _Watched, ref_files
from tests.support.apps import SampleApp
from tests.support.gogs import Gogs
from tests.support.installed import Installed, install

APP = "devops/dev-app"


@dataclass
class Scene:
    """A watched installation with one enrolled app; its clock stands still until it is told to go on."""

    installed: Installed
    site: Site
    state: State
    watcher: Watcher
    clone: SampleApp
    now: float = 1000.0
    rung: int = 0

    @property
    def repository(self) -> Path:
        return self.installed.gogs.repository(APP)

    def commit(self, version: str) -> str:
        """A commit that is in the repository's objects, while none of its deployed refs moves."""
        commit = self.clone.release(version)
        self.clone.git("push", "--quiet", str(self.repository), f"HEAD:refs/hidden/{version}")
        return commit

    def git(self, *arguments: str, repository: Path | None = None) -> None:
        """Runs git in the repository, without its hooks: here the watcher is all there is."""
        where = ["-C", str(repository or self.repository), "-c", "core.hooksPath=/dev/null"]
        subprocess.run(["git", *where, *arguments], check=True)

    def look(self, *seconds: float) -> list[PushRecord]:
        """Looks now and after each of these times; returns what is in the spool then."""
        self.watcher.look()
        for step in seconds:
            self.now += step
            self.watcher.look()
        return self.site.spool.pending()[0]

    def restart(self) -> None:
        """What a new agent has: what is on disk."""
        self.watcher = Watcher(self.site, self.state, self.ring)

    def ring(self) -> None:
        self.rung += 1

    def deployed(self, name: str, commit: str, status: str = "succeeded", ref: str = "refs/heads/main") -> None:
        """Records a deployment, as a worker does."""
        number = self.state.enqueue(APP, name, trigger="push", created=1.0, ref=ref, commit_id=commit)
        self.state.update(number, status=status)


@pytest.fixture
def scene(gogs_dir: Gogs, sample_app: SampleApp) -> Iterator[Scene]:
    installed = install(gogs_dir, {})
    before = os.umask(0o077)
    site = make_site({"GITDEPLOY_HOME": str(installed.home), "GITDEPLOY_MODE": "agent"})
    installed.enrol(APP, "registry.example/dev-app", 8080)
    with site.open_state() as state:
        scene = Scene(installed, site, state, Watcher(site, state, lambda: None), sample_app)
        scene.site = replace(site, clock=lambda: scene.now, now=lambda: scene.now)
        scene.restart()
        yield scene
    site.readers.close()
    os.umask(before)


@pytest.fixture
def watched(scene: Scene) -> Scene:
    """One whose main was there when it was enrolled."""
    scene.git("update-ref", "refs/heads/main", scene.commit("0"))
    assert scene.look(SETTLE, SETTLE) == []
    return scene


def test_enrolling_deploys_nothing(watched: Scene) -> None:
    watched.restart()
    assert watched.look(SETTLE, SETTLE) == []


def loose(scene: Scene, commit: str) -> None:
    scene.git("update-ref", "refs/heads/main", commit)


def packed(scene: Scene, commit: str) -> None:
    scene.git("update-ref", "refs/heads/main", commit)
    scene.git("pack-refs", "--all", "--prune")


def written(scene: Scene, commit: str) -> None:
    with (scene.repository / "refs/heads/main").open("r+") as file:
        file.write(f"{commit}\n")


def mirrored(scene: Scene, commit: str) -> None:
    scene.git("fetch", "--quiet", str(scene.clone.path), f"+{commit}:refs/heads/main")


@pytest.mark.parametrize("move", [loose, packed, written, mirrored])
def test_however_a_ref_moves_it_is_told_once(watched: Scene, move: object) -> None:
    commit = watched.commit("1")
    move(watched, commit)  # type: ignore[operator]
    assert watched.look(SETTLE - 0.1) == []
    (record,) = watched.look(0.2)
    assert (record.app, record.trigger, record.refs[0].name, record.refs[0].new) == (APP, "move", "refs/heads/main", commit)
    assert watched.rung == 1
    watched.site.spool.done(record.name)
    assert watched.look(SETTLE, SETTLE) == []
    watched.restart()
    assert watched.look(SETTLE, SETTLE) == []


def test_a_push_that_the_hook_told_of_is_left_to_it(watched: Scene) -> None:
    commit = watched.commit("1")
    loose(watched, commit)
    watched.look()
    watched.deployed("5-a", commit, status="failed")
    assert watched.look(SETTLE, SETTLE) == []


def test_a_move_while_no_agent_ran(watched: Scene) -> None:
    commit = watched.commit("1")
    loose(watched, commit)
    watched.restart()
    (record,) = watched.look(SETTLE)
    assert record.refs[0].new == commit


def test_back_to_an_earlier_commit_is_a_move(watched: Scene) -> None:
    first, second = watched.commit("1"), watched.commit("2")
    for name, commit in (("5-a", first), ("6-b", second)):
        loose(watched, commit)
        watched.deployed(name, commit)
        assert watched.look(SETTLE) == []
    loose(watched, first)
    (record,) = watched.look(SETTLE)
    assert (record.refs[0].old, record.refs[0].new) == (second, first)


def test_other_refs_are_not_told(watched: Scene) -> None:
    commit = watched.commit("1")
    watched.git("update-ref", "refs/heads/feature", commit)
    watched.git("tag", "v1", commit)
    assert watched.look(SETTLE, SETTLE) == []


def test_the_hook_follows_the_config_and_the_watch_does_too(watched: Scene) -> None:
    conf = watched.repository / "gitdeploy.conf"
    watched.git("update-ref", "refs/heads/live", watched.commit("1"))
    watched.installed.configure('branch = ["main", "live"]\n')
    assert watched.look(SETTLE, SETTLE) == []  # it was there before anyone asked to deploy it
    assert "ref refs/heads/live" in conf.read_text()
    commit = watched.commit("2")
    watched.git("update-ref", "refs/heads/live", commit)
    (record,) = watched.look(SETTLE)
    assert record.refs[0].name == "refs/heads/live"


def test_a_renamed_repository_is_followed(watched: Scene) -> None:
    renamed = watched.repository.with_name("renamed.git")
    watched.repository.rename(renamed)
    watched.git("update-ref", "refs/heads/main", first_parentless(watched), repository=renamed)
    (record,) = watched.look(SEARCH_INTERVAL, SETTLE)
    assert record.repo == str(renamed)


def first_parentless(scene: Scene) -> str:
    """A commit that a renamed repository has, too."""
    commit = scene.clone.release("renamed")
    renamed = scene.repository.with_name("renamed.git")
    scene.clone.git("push", "--quiet", str(renamed), "HEAD:refs/hidden/renamed")
    return commit


def test_a_deleted_repository_is_no_fault_and_one_that_is_made_again_is_another(watched: Scene) -> None:
    shutil.rmtree(watched.repository)
    assert watched.look(SEARCH_INTERVAL, SETTLE) == []
    watched.installed.gogs.create_repository(APP)
    loose(watched, watched.commit("1"))
    assert watched.look(SEARCH_INTERVAL, SETTLE) == []
    assert not (watched.repository / "custom_hooks/post-receive").exists()
    assert not (watched.repository / "gitdeploy.conf").exists()
    watched.installed.run("enrol", APP)
    assert watched.look(SEARCH_INTERVAL) == []
    loose(watched, watched.commit("2"))
    assert len(watched.look(SETTLE)) == 1


def test_a_repository_from_an_older_backup_is_deployed(watched: Scene) -> None:
    commit = watched.commit("1")
    backup = watched.repository.with_name("backup")
    shutil.copytree(watched.repository, backup)
    loose(watched, commit)
    watched.deployed("5-a", commit)
    assert watched.look(SETTLE) == []
    shutil.rmtree(watched.repository)
    backup.rename(watched.repository)
    (record,) = watched.look(SEARCH_INTERVAL, SETTLE)
    assert record.refs[0].old == commit


def test_what_was_removed_is_left_alone(watched: Scene) -> None:
    watched.installed.run("remove", APP)
    loose(watched, watched.commit("1"))
    assert watched.look(SEARCH_INTERVAL, SETTLE) == []
    assert not (watched.repository / "gitdeploy.conf").exists()
    watched.installed.run("enrol", APP)
    assert watched.look(SEARCH_INTERVAL, SETTLE) == []  # enrolling deploys nothing
    commit = watched.commit("2")
    loose(watched, commit)
    assert watched.look(SETTLE)[0].refs[0].new == commit


def test_one_repository_in_error_does_not_keep_the_others_from_being_watched(watched: Scene) -> None:
    watched.installed.enrol("devops/broken", "registry.example/broken", 8081)
    broken = watched.installed.gogs.repository("devops/broken")
    (broken / "refs/heads").mkdir(exist_ok=True)
    (broken / "refs/heads/main").write_text("no commit id\n")
    commit = watched.commit("1")
    loose(watched, commit)
    (record,) = watched.look(SEARCH_INTERVAL, SETTLE)
    assert record.app == APP


def test_a_config_in_error_leaves_the_last_good_one(watched: Scene) -> None:
    watched.installed.configure("this is no TOML\n")
    loose(watched, watched.commit("1"))
    assert len(watched.look(SETTLE)) == 1


def test_a_new_agent_brings_what_new_repositories_get_up_to_date(scene: Scene) -> None:
    scene.installed.run("enrol", "--all", "--image", "registry.example/{repo}")
    hook = scene.installed.gogs.data / "git/gitdeploy-template/custom_hooks/post-receive"
    wanted = hook.read_bytes()
    hook.write_text("#!/bin/sh\n# an older one\n")
    scene.restart()
    scene.look()
    assert hook.read_bytes() == wanted
    hook.parent.parent.rename(scene.installed.gogs.data / "git/aside")
    hook.parent.parent.symlink_to("aside")
    scene.restart()
    scene.look()  # cannot, and goes on


def test_what_one_repository_brings_up_leaves_the_others_watched(watched: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "devops/aaa-broken"
    watched.installed.enrol(other, "registry.example/broken", 8081)
    real = watched.watcher._tips

    def tips(app: _Watched, patterns: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        if app.path and "broken" in app.path.name:
            raise RecursionError("maximum depth")
        return real(app, patterns)

    monkeypatch.setattr(watched.watcher, "_tips", tips)
    watched.look(1)
    loose(watched, watched.commit("1"))
    (record,) = watched.look(SETTLE, SETTLE)
    assert record.app == APP


def test_a_mistake_in_one_apps_table_stops_no_other_from_being_watched(watched: Scene) -> None:
    config = watched.installed.home / "config.toml"
    right = config.read_text()
    watched.look()
    config.write_text(f'{right}[apps."devops/wrong"]\nreplicas = "many"\n')
    watched.look(1)
    loose(watched, watched.commit("1"))
    (record,) = watched.look(SETTLE, SETTLE)
    assert record.app == APP
    watched.watcher.site.spool.done(record.name)
    config.write_text(right.replace("image = ", 'replicas = "many"\nimage = ', 1))  # its own: nothing until it is put right
    watched.look(1)
    tip = watched.commit("2")
    loose(watched, tip)
    assert watched.look(SETTLE, SETTLE) == []
    config.write_text(right)
    assert [record.refs[0].new for record in watched.look(1, SETTLE, SETTLE)] == [tip]


@pytest.mark.parametrize("kind", ["pipe", "link", "device", "directory", "no commit"])
def test_something_odd_among_the_refs_holds_up_nothing(watched: Scene, kind: str) -> None:
    config = watched.installed.home / "config.toml"
    config.write_text(config.read_text() + 'branch = ["main", "odd*", "refs/tags/*"]\n')
    watched.look()
    commit = watched.commit("1")  # git itself would wait for the pipe
    odd = watched.repository / "refs/heads/odd"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "link":
        odd.symlink_to("/dev/zero")
    elif kind == "device":
        os.mknod(odd, 0o020666, os.makedev(1, 5))
    elif kind == "directory":
        odd.mkdir()
        os.mkfifo(odd / "fifo")
    else:
        watched.git("tag", "blob", "main:VERSION")
    written(watched, commit)
    (record,) = watched.look(SETTLE, SETTLE)
    assert record.refs[0].new == commit
    watched.site.spool.done(record.name)
    assert watched.look(SETTLE, SETTLE) == []


@pytest.mark.parametrize("place", ["refs/heads", "refs", "."])
def test_a_directory_of_refs_that_is_a_link_is_not_walked(watched: Scene, place: str) -> None:
    path = watched.repository / place
    shutil.move(path, watched.installed.home / "moved")
    path.symlink_to("/")
    assert len([*ref_files(watched.repository, ["refs/heads/main"])] if place != "." else []) <= 1
    assert watched.look(SETTLE) == []


def test_more_files_of_refs_than_are_watched(watched: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitdeploy.worker.watcher.MAX_REF_FILES", 10)
    for number in range(11):
        (watched.repository / f"refs/heads/{number}").write_text("1" * 40 + "\n")
    with pytest.raises(StageFailed, match="more than 10 files of refs"):
        list(ref_files(watched.repository, ["refs/heads/main"]))


def test_a_reader_that_dies_is_replaced(watched: Scene) -> None:
    process, _ = watched.site.readers._kept  # type: ignore[misc]
    process._process.kill()
    process._process.wait()
    commit = watched.commit("1")
    loose(watched, commit)
    (record,) = watched.look(SETTLE)
    assert record.refs[0].new == commit
