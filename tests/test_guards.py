"""Tests see nothing of the person who runs them, and are caught if they touch it."""

from __future__ import annotations

import os
import subprocess
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


def test_a_changed_private_file_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guards, "REAL_HOME", tmp_path)
    before = guards.private_files()
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text("{}")
    made = guards.private_files()
    (tmp_path / ".docker/config.json").write_text('{"auths": {}}')

    assert before == {}
    assert made != guards.private_files()
