"""gitdeploy.gitserver.enrolment: the hook goes in and comes out without a trace; what was there before stays whole."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gitserver import enrolment as enrolling
from gitdeploy.gitserver.enrolment import enrol, refresh, remove
from gitdeploy.gitserver.hookconf import HookConf, token_of
from gitdeploy.gitserver.hookplaces import PLAIN
from tests.support.enrolling import CONF, HOOK, KEPT, listing
from tests.support.gogs import Gogs


@pytest.fixture
def repository(gogs_dir: Gogs) -> Path:
    """Devops/Dev-App, not enrolled."""
    return gogs_dir.create_repository("Devops/Dev-App")


@pytest.fixture
def foreign(gogs_dir_of_git: Gogs) -> Path:
    """Devops/Dev-App of user 1000."""
    return gogs_dir_of_git.create_repository("Devops/Dev-App")


def test_what_is_written(gogs_dir: Gogs, repository: Path) -> None:
    done = enrol(gogs_dir.data, repository, CONF)
    assert (done.hook, done.changed, done.kept) == (repository / HOOK, True, None)
    assert stat.S_IMODE((repository / HOOK).lstat().st_mode) == 0o755
    assert (repository / HOOK).read_bytes() == enrolling.hook_text()
    assert stat.S_IMODE((repository / "gitdeploy.conf").lstat().st_mode) == 0o644
    assert (repository / "gitdeploy.conf").read_text() == (
        "app devops/dev-app\nref refs/heads/main\nref refs/tags/v*\n"
        f"home /srv/gogs/gitdeploy\nhome /data/gitdeploy\nwait 90\nmode direct\ntoken {token_of(repository)}\n"
    )
    assert re.fullmatch("[0-9a-f]{32}", token_of(repository))
    config = (repository / "config").read_text()
    assert config.endswith("[receive] # by gitdeploy, for `git push -o`\n\tadvertisePushOptions = true\n")


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_umask_has_no_say(gogs_dir: Gogs, repository: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        enrol(gogs_dir.data, repository, CONF)
    finally:
        os.umask(before)
    assert stat.S_IMODE((repository / "custom_hooks").stat().st_mode) == 0o755
    assert stat.S_IMODE((repository / HOOK).stat().st_mode) == 0o755
    assert stat.S_IMODE((repository / "gitdeploy.conf").stat().st_mode) == 0o644


def test_owner_is_the_repositorys(gogs_dir_of_git: Gogs, foreign: Path) -> None:
    before = {path for path in listing(foreign)}
    enrol(gogs_dir_of_git.data, foreign, CONF)
    after = listing(foreign)
    assert {"custom_hooks", str(HOOK), "gitdeploy.conf"} <= set(after) - before
    assert {(uid, gid) for _, uid, gid, _ in after.values()} == {(1000, 1000)}


def test_second_time_changes_nothing(gogs_dir: Gogs, repository: Path) -> None:
    enrol(gogs_dir.data, repository, CONF)
    before = listing(repository)
    times = {path: path.lstat().st_mtime_ns for path in repository.rglob("*")}
    assert not enrol(gogs_dir.data, repository, CONF).changed
    assert listing(repository) == before
    assert {path: path.lstat().st_mtime_ns for path in repository.rglob("*")} == times


def test_upgrade_replaces_an_older_hook_and_damage(gogs_dir: Gogs, repository: Path) -> None:
    enrol(gogs_dir.data, repository, CONF)
    for text in (b"#!/bin/sh\n# gitdeploy post-receive hook\nold\n", enrolling.hook_text().replace(b"\n", b"\r\n")):
        (repository / HOOK).write_bytes(text)
        (repository / HOOK).chmod(0o644)
        assert enrol(gogs_dir.data, repository, CONF).changed
        assert (repository / HOOK).read_bytes() == enrolling.hook_text()
        assert stat.S_IMODE((repository / HOOK).stat().st_mode) == 0o755
    assert not (repository / KEPT).exists()


def test_refresh_writes_the_conf_alone(gogs_dir: Gogs, repository: Path) -> None:
    enrol(gogs_dir.data, repository, CONF)
    token = token_of(repository)
    (repository / HOOK).unlink()
    other = HookConf("devops/dev-app", ["/x"], ["refs/heads/next"], 60)
    assert refresh(gogs_dir.data, repository, other, as_of_ns=5_000_000_000)
    assert not refresh(gogs_dir.data, repository, other, as_of_ns=5_000_000_000)
    assert (repository / "gitdeploy.conf").read_bytes() == replace(other, token=token).render()
    assert (repository / "gitdeploy.conf").stat().st_mtime_ns == 5_000_000_000
    assert not (repository / HOOK).exists()


def test_remove_leaves_no_trace(gogs_dir: Gogs, repository: Path) -> None:
    before = listing(repository)
    enrol(gogs_dir.data, repository, CONF)
    done = remove(gogs_dir.data, repository)
    assert (done.found, done.restored, done.left) == (True, None, None)
    assert listing(repository) == before
    assert not remove(gogs_dir.data, repository).found
    assert listing(repository) == before


@pytest.mark.parametrize("mode", [0o755, 0o644, 0o700])
def test_earlier_hook_is_kept_and_put_back(gogs_dir: Gogs, repository: Path, mode: int) -> None:
    (repository / HOOK).parent.mkdir()
    (repository / HOOK).write_bytes(b"#!/bin/bash\r\n\x00\xff no newline at the end")
    (repository / HOOK).chmod(mode)
    before = listing(repository)
    kept = before[str(HOOK)]
    assert enrol(gogs_dir.data, repository, CONF).kept == repository / KEPT
    assert enrol(gogs_dir.data, repository, CONF).kept == repository / KEPT
    assert listing(repository)[str(KEPT)] == kept
    assert remove(gogs_dir.data, repository).restored == repository / HOOK
    assert listing(repository) == before


def test_earlier_hook_that_is_a_link_is_kept_as_one(gogs_dir: Gogs, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "shared-hook").write_text("#!/bin/sh\n")
    (repository / HOOK).parent.mkdir()
    (repository / HOOK).symlink_to(tmp_path / "shared-hook")
    before = listing(repository)
    enrol(gogs_dir.data, repository, CONF)
    assert (repository / KEPT).readlink() == tmp_path / "shared-hook"
    assert (tmp_path / "shared-hook").read_text() == "#!/bin/sh\n"
    remove(gogs_dir.data, repository)
    assert listing(repository) == before


def test_crash_between_keeping_and_installing(gogs_dir: Gogs, repository: Path) -> None:
    (repository / HOOK).parent.mkdir()
    (repository / HOOK).write_text("#!/bin/sh\necho theirs\n")
    (repository / KEPT).hardlink_to(repository / HOOK)
    assert enrol(gogs_dir.data, repository, CONF).kept == repository / KEPT
    assert (repository / KEPT).read_text() == "#!/bin/sh\necho theirs\n"


def test_two_earlier_hooks_are_for_a_person_to_merge(gogs_dir: Gogs, repository: Path) -> None:
    (repository / HOOK).parent.mkdir()
    (repository / HOOK).write_text("#!/bin/sh\necho first\n")
    enrol(gogs_dir.data, repository, CONF)
    (repository / HOOK).write_text("#!/bin/sh\necho second, from the web page\n")
    before = listing(repository)
    with pytest.raises(UsageError, match=r"is not gitdeploy's hook, and post-receive\.before-gitdeploy holds another"):
        enrol(gogs_dir.data, repository, CONF)
    assert listing(repository) == before
    done = remove(gogs_dir.data, repository)
    assert (done.restored, done.left) == (None, repository / HOOK)
    assert (repository / HOOK).read_text() == "#!/bin/sh\necho second, from the web page\n"
    assert (repository / KEPT).read_text() == "#!/bin/sh\necho first\n"


def test_plain_bare_repository_outside_the_data_directory(gogs_dir: Gogs, repository: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "app.git"
    outside.parent.mkdir()
    repository.rename(outside)
    before = listing(outside)
    assert before["hooks/post-receive"]
    done = enrol(gogs_dir.data, outside, CONF, PLAIN)
    assert done.hook == outside / "hooks/post-receive"
    assert done.kept == outside / "hooks/post-receive.before-gitdeploy"
    assert not (outside / "custom_hooks").exists()
    remove(gogs_dir.data, outside)
    assert listing(outside) == before


@pytest.mark.parametrize("path", ["missing", "file", "empty"])
def test_no_repository(gogs_dir: Gogs, path: str) -> None:
    root = gogs_dir.data / "git/gogs-repositories"
    (root / "file").touch()
    (root / "empty").mkdir()
    with pytest.raises(UnfitError, match=str(root / path)):
        enrol(gogs_dir.data, root / path, CONF)
