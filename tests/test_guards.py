"""Tests see nothing of the person who runs them, and are caught if they touch it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import guards


def test_home_and_git_settings_are_the_tests_own() -> None:
    origin = subprocess.run(["git", "config", "--show-origin", "user.name"], check=True, capture_output=True, text=True).stdout

    assert Path.home() != guards.REAL_HOME
    assert origin == f"file:{Path.home()}/.gitconfig\tAlice\n"
    assert Path(os.environ["DOCKER_CONFIG"]).is_relative_to(Path.home())


def test_reading_a_private_file_raises() -> None:
    with pytest.raises(AssertionError, match="a real file of the person who runs it"):
        (guards.REAL_HOME / ".docker/config.json").read_text()


def test_children_see_nothing_of_the_persons_files() -> None:
    """What is not there yet cannot be hidden; then nothing of it can be read either."""
    for path in (guards.REAL_HOME / name for name in guards.PRIVATE):
        listed = subprocess.run(["find", path, "-type", "f", "-size", "+0"], check=False, capture_output=True, text=True).stdout
        assert listed == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_private_file_that_a_child_writes_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guards, "REAL_HOME", tmp_path)
    (tmp_path / ".docker").mkdir()
    with mounted(tmp_path / ".docker"):
        assert guards.private_files() == {}
        subprocess.run(["touch", tmp_path / ".docker/config.json"], check=True)
        assert list(guards.private_files()) == [str(tmp_path / ".docker/config.json")]


@contextmanager
def mounted(directory: Path) -> Iterator[None]:
    """A file system of its own there, as `hide_private_files` makes one."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)
