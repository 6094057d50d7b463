"""Who may write config.toml commands the engine: a file that others can write is refused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitdeploy.config.configfile import read_config_file
from gitdeploy.config.load import load_config
from gitdeploy.errors import ConfigError

OTHER = 65534


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('[apps."o/app"]\n')
    path.chmod(0o600)
    return path


@contextmanager
def as_other_user() -> Iterator[None]:
    """Without the rights of root, where the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(OTHER)
    try:
        yield
    finally:
        os.seteuid(user)


def refused(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(f"{path}: ")
    return caught.value


def test_a_private_file(file: Path) -> None:
    loaded = load_config(file)
    assert (file, (), {"o/app"}) == (loaded.source, loaded.warnings, loaded.apps.keys())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_warned_of(file: Path, mode: int) -> None:
    file.chmod(mode)
    (warning,) = load_config(file).warnings
    assert warning.startswith(f"{file}: others can read it (-rw")
    assert warning.endswith(f"chmod 600 {file}")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    error = refused(file)
    assert "expected that nobody else can write it, found -rw" in error.reason
    assert error.hint == f"run: chmod 600 {file}"


def test_a_file_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(file, OTHER, OTHER)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    error = refused(file)
    assert "expected it to belong to user " in error.reason
    assert "chown " in error.hint


def test_a_file_of_root_is_taken_by_others(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In agent mode root keeps the config; whoever may read it may look."""
    data, _ = read_config_file(Path("/etc/hostname"))
    assert data == Path("/etc/hostname").read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert read_config_file(Path("/etc/hostname"))[0] == data


def test_a_missing_file(tmp_path: Path) -> None:
    error = refused(tmp_path / "config.toml")
    assert "expected the server's config file, found nothing" in error.reason
    assert "install.sh" in error.hint


def test_an_unreadable_file_says_whose_it_is_and_who_asks() -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = Path(directory, "config.toml")
        path.touch()
        path.chmod(0o600 if os.geteuid() == 0 else 0o000)
        with as_other_user():
            error = refused(path)
    assert "cannot be read by user " in error.reason
    assert "it belongs to user " in error.reason
    assert error.reason.endswith("(Permission denied)")
    assert error.hint.startswith("run gitdeploy as user ")


def test_a_file_in_a_closed_directory(tmp_path: Path) -> None:
    directory = tmp_path / "closed"
    directory.mkdir()
    (directory / "config.toml").touch()
    directory.chmod(0o000)
    try:
        with as_other_user():
            error = refused(directory / "config.toml")
    finally:
        directory.chmod(0o700)
    assert "Permission denied" in error.reason
    assert error.hint.startswith("check the directories above ")


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "expected a regular file, found drwx" in refused(tmp_path).reason
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "expected a regular file, found prw" in refused(tmp_path / "fifo").reason
    assert "expected a regular file, found crw" in refused(Path("/dev/null")).reason


def test_a_huge_file_is_not_read_whole(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(10**12)
    assert "expected at most 1000000 bytes" in refused(file).reason


def test_a_user_that_the_machine_does_not_know(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result((0o100600, 1, 1, 1, 4_000_000, 0, 0, 0, 0, 0)))
    assert "found user 4000000" in refused(file).reason
