"""gitdeploy.gitserver.enrolment where others can write: through no symbolic link of theirs, and two at once."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gitserver import ownedfiles
from gitdeploy.gitserver.enrolment import enrol, remove
from tests.support.enrolling import CONF, HOOK, listing
from tests.support.gogs import Gogs


@pytest.fixture
def repository(gogs_dir: Gogs) -> Path:
    """Devops/Dev-App, not enrolled."""
    return gogs_dir.create_repository("Devops/Dev-App")


@pytest.fixture
def foreign(gogs_dir_of_git: Gogs) -> Path:
    """Devops/Dev-App of user 1000."""
    return gogs_dir_of_git.create_repository("Devops/Dev-App")


def test_data_directory_behind_a_link(gogs_dir: Gogs, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(gogs_dir.data)
    enrol(tmp_path / "link", tmp_path / "link" / repository.relative_to(gogs_dir.data), CONF)
    assert (repository / HOOK).exists()


def test_links_of_root_are_followed(gogs_dir_of_git: Gogs, foreign: Path, open_path: Path) -> None:
    root = gogs_dir_of_git.data / "git"
    root.rename(open_path / "large-disk")
    root.symlink_to("../large-disk")
    enrol(gogs_dir_of_git.data, foreign, CONF)
    assert (open_path / "large-disk/gogs-repositories/devops/dev-app.git" / HOOK).exists()


@pytest.mark.parametrize("part", ["git", "git/gogs-repositories/devops", "git/gogs-repositories/devops/dev-app.git"])
def test_links_of_another_user_are_not(gogs_dir_of_git: Gogs, foreign: Path, open_path: Path, part: str) -> None:
    path = gogs_dir_of_git.data / part
    path.rename(open_path / "elsewhere")
    path.symlink_to(open_path / "elsewhere")
    os.lchown(path, 1000, 1000)
    before = listing(open_path / "elsewhere")
    for action in (lambda: enrol(gogs_dir_of_git.data, foreign, CONF), lambda: remove(gogs_dir_of_git.data, foreign)):
        with pytest.raises(UnfitError, match="symbolic link made by user 1000"):
            action()
    assert listing(open_path / "elsewhere") == before


def test_link_in_place_of_the_hooks_directory(gogs_dir_of_git: Gogs, foreign: Path, open_path: Path) -> None:
    (open_path / "cron.d").mkdir()
    (foreign / "custom_hooks").symlink_to(open_path / "cron.d")
    os.lchown(foreign / "custom_hooks", 1000, 1000)
    with pytest.raises(UnfitError, match="custom_hooks"):
        enrol(gogs_dir_of_git.data, foreign, CONF)
    assert list((open_path / "cron.d").iterdir()) == []


@pytest.mark.parametrize("name", ["gitdeploy.conf", "custom_hooks/post-receive"])
def test_links_in_place_of_files_are_replaced(gogs_dir: Gogs, repository: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (repository / "custom_hooks").mkdir()
    (repository / name).symlink_to(victim)
    enrol(gogs_dir.data, repository, CONF)
    assert victim.read_text() == "precious"
    assert not (repository / name).is_symlink()


def test_two_at_once(gogs_dir: Gogs, repository: Path) -> None:
    (repository / HOOK).parent.mkdir()
    (repository / HOOK).write_text("#!/bin/sh\necho theirs\n")
    before = listing(repository)
    failures: list[Exception] = []

    def work(action: int) -> None:
        try:
            for _ in range(20):
                if action:
                    enrol(gogs_dir.data, repository, CONF)
                else:
                    remove(gogs_dir.data, repository)
        except (UnfitError, UsageError, OSError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i % 3,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    remove(gogs_dir.data, repository)
    assert listing(repository) == before


def test_a_directory_that_somebody_keeps_locked_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownedfiles, "LOCK_PATIENCE", 0.2)
    held, wanted = (os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY) for _ in range(2))
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(UnfitError, match=f"{tmp_path} is locked by another process"), ownedfiles.locked(wanted):
        raise AssertionError
    fcntl.flock(held, fcntl.LOCK_UN)
    with ownedfiles.locked(wanted):
        pass
    os.close(held)
    os.close(wanted)
