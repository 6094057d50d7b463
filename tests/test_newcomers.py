"""What git makes after `enrol --all` has the hook in it, and it is gone again without a trace."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from gitdeploy.config.edit import set_server
from gitdeploy.enrol import HOOK, hook_text
from gitdeploy.errors import UsageError
from gitdeploy.hookconf import ANY, enrolled_app
from gitdeploy.newcomers import SETTING, TEMPLATE, may_enrol, seed, withdraw
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
    assert f"app {ANY}\n" in (repository / "gitdeploy.conf").read_text()
    assert enrolled_app(repository) is None
    assert may_enrol(repository)


def test_a_fork_has_no_part_in_it(home: Path) -> None:
    seed(home, home, CONF)
    source = make(home / "source.git")
    assert not may_enrol(make(home / "fork.git", "clone", "--bare", str(source)))
    assert not may_enrol(make(home / "mirror.git", "clone", "--mirror", str(source)))
    assert not may_enrol(home)


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


def test_another_template_is_left_alone(home: Path) -> None:
    subprocess.run(["git", "config", "--global", "init.templateDir", "/srv/template"], check=True)
    with pytest.raises(UsageError, match="templateDir"):
        seed(home, home, CONF)
    assert not (home / TEMPLATE).exists()
    assert SETTING not in (home / ".gitconfig").read_bytes()


def test_a_link_in_place_of_the_settings_is_not_followed(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    (home / ".gitconfig").unlink()
    (home / ".gitconfig").symlink_to(target)
    seed(home, home, CONF)
    assert target.read_text() == "mine"


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
