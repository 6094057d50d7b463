"""What git makes after `enrol --all` has the hook in it, and it is gone again without a trace."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from gitdeploy.config.edit import set_server
from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gitserver.enrolment import HOOK, hook_text
from gitdeploy.gitserver.gitserver import GOGS
from gitdeploy.gitserver.hookconf import ANY, enrolled_apps
from gitdeploy.gitserver.newcomers import SETTING, TEMPLATE, may_enrol, missing, seed, withdraw
from gitdeploy.gitserver.repositorysettings import is_clone, uses_sha256
from tests.support.enrolling import CONF, listing


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home directory of the Git server's user, who runs git here."""
    path = tmp_path / "git"
    path.mkdir()
    (path / ".gitconfig").write_text("[user]\n\tname = Gogs\n\temail = gogs@example.com")
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path / ".gitconfig"))
    return path


def make(path: Path, *command: str) -> Path:
    subprocess.run(["git", *(command or ("init", "--bare")), "--quiet", path], check=True)
    return path


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_repository_has_the_hook(home: Path, mask: int) -> None:
    assert seed(home, home, CONF)
    assert not seed(home, home, CONF)
    before = os.umask(mask)
    try:
        repository = make(home / "new.git")
    finally:
        os.umask(before)
    hook = repository / "custom_hooks" / HOOK
    assert hook.read_bytes() == hook_text()
    assert stat.S_IMODE(hook.stat().st_mode) == 0o755 & ~mask
    assert (repository / "hooks").is_dir()  # Gogs writes into it
    conf = (repository / "gitdeploy.conf").read_text()
    assert f"app {ANY}\n" in conf
    assert [line for line in conf.splitlines() if line.startswith("ref ")] == ["ref refs/heads/*", "ref refs/tags/*"]
    assert not is_clone(repository)
    assert enrolled_apps(repository) == ()
    assert may_enrol(repository)


def test_a_fork_has_no_part_in_it(home: Path) -> None:
    seed(home, home, CONF)
    source = make(home / "source.git")
    for kind in ("--bare", "--mirror"):
        copy = make(home / f"copy{kind}.git", "clone", kind, str(source))
        assert not may_enrol(copy)
        assert is_clone(copy)
    assert not may_enrol(home)
    assert not is_clone(home / "nonexistent")


def test_withdrawn_it_leaves_no_trace(home: Path) -> None:
    before = listing(home)
    seed(home, home, CONF)
    assert withdraw(home, home)
    (home / ".gitconfig").write_text((home / ".gitconfig").read_text().rstrip("\n"))  # a line's end is all that is left
    assert listing(home) == before
    assert not withdraw(home, home)
    (home / ".gitconfig").unlink()
    seed(home, home, CONF)
    withdraw(home, home)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("after", ["", "\n# mine\n[core]\n\tbare = true\n"])
@pytest.mark.parametrize("key", ["init.defaultBranch", "user.name"])
def test_withdrawn_it_leaves_the_keys_that_came_since(home: Path, key: str, after: str) -> None:
    seed(home, home, CONF)
    with (home / ".gitconfig").open("a") as file:
        file.write(after)
    subprocess.run(["git", "config", "--global", key, "main"], check=True)
    assert withdraw(home, home)
    listed = subprocess.run(["git", "config", "--global", "--list"], check=True, capture_output=True, text=True).stdout
    expected = {"user.name=Gogs", "user.email=gogs@example.com", f"{key.lower()}=main", *(["core.bare=true"] if after else [])}
    assert set(listed.splitlines()) == expected - ({"user.name=Gogs"} if key == "user.name" else set())
    assert ("[init]" in (home / ".gitconfig").read_text()) == (key == "init.defaultBranch")


@pytest.mark.parametrize("text", ["[init]\n\ttemplateDir = /srv/template\n", "[init] TemplateDir=/srv/template\n"])
def test_another_template_is_left_alone(home: Path, text: str) -> None:
    (home / ".gitconfig").write_text(text)
    with pytest.raises(UsageError, match="templateDir"):
        seed(home, home, CONF)
    assert not (home / TEMPLATE).exists()
    assert SETTING not in (home / ".gitconfig").read_bytes()


def test_settings_that_are_no_file_are_left_alone(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(SETTING)
    (home / ".gitconfig").unlink()
    (home / ".gitconfig").symlink_to(target)
    assert not withdraw(home, home)  # nothing was put there
    with pytest.raises(UnfitError, match=r"\.gitconfig: expected a regular file"):
        seed(home, home, CONF)
    assert not (home / TEMPLATE).exists()
    (home / ".gitconfig").unlink()
    seed(home, home, CONF)
    (home / ".gitconfig").unlink()
    (home / ".gitconfig").symlink_to(target)
    with pytest.raises(UnfitError, match=r"\.gitconfig: expected a regular file"):
        withdraw(home, home)
    assert (home / TEMPLATE).exists()
    assert (home / ".gitconfig").readlink() == target
    assert target.read_bytes() == SETTING


def test_without_a_home_directory_it_says_what_to_do(tmp_path: Path) -> None:
    for base in (tmp_path, tmp_path / "nonexistent"):
        with pytest.raises(UnfitError, match=r"nonexistent.* No such file") as caught:
            seed(base, tmp_path / "nonexistent", CONF)
        assert caught.value.hint
        assert not withdraw(base, tmp_path / "nonexistent")
    (tmp_path / "git").mkdir()
    (tmp_path / "git" / TEMPLATE).symlink_to("/")
    with pytest.raises(UnfitError, match=TEMPLATE):
        seed(tmp_path, tmp_path / "git", CONF)


def test_a_pipe_in_place_of_the_hook_holds_nobody_up(home: Path) -> None:
    seed(home, home, CONF)
    assert missing(home, GOGS.hooks) is None
    hook = home / TEMPLATE / "custom_hooks" / HOOK
    hook.unlink()
    os.mkfifo(hook, 0o755)
    assert missing(home, GOGS.hooks) == hook
    hook.unlink()
    hook.parent.rmdir()
    assert missing(home, GOGS.hooks) == hook


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[server]\nnew_repositories = "x/{owner}/{repo}"\n'),
        ('[server]\nhost = "box" # mine\n', '[server]\nhost = "box" # mine\nnew_repositories = "x/{owner}/{repo}"\n'),
        ('[server]\nnew_repositories = ""\n', '[server]\nnew_repositories = "x/{owner}/{repo}"\n'),
    ],
)
def test_the_server_says_so_in_its_config(before: str, after: str) -> None:
    assert set_server(before, "new_repositories", "x/{owner}/{repo}") == after


def test_sha256_repositories_are_known(tmp_path: Path) -> None:
    assert uses_sha256(make(tmp_path / "new.git", "init", "--bare", "--object-format=sha256"))
    assert not uses_sha256(make(tmp_path / "old.git", "init", "--bare", "--object-format=sha1"))
    assert not uses_sha256(tmp_path / "nonexistent")
