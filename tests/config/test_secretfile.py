"""Secret files are read only when nobody else can have written or can read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitdeploy.config.secretfile import MAX_SIZE, read_secret
from gitdeploy.errors import StageFailed


def make(path: Path, data: bytes = b"secret", mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_reads_a_private_file(tmp_path: Path) -> None:
    assert read_secret(make(tmp_path / "s", b"a\0b"), "key") == b"a\0b"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_refuses_what_others_can_read(tmp_path: Path, mode: int) -> None:
    path = make(tmp_path / "s", mode=mode)
    with pytest.raises(StageFailed, match="others can read it") as caught:
        read_secret(path, "env_file")
    assert caught.value.hint == f"run: chmod 600 {path}"


def test_refuses_what_another_user_wrote(tmp_path: Path) -> None:
    path = make(tmp_path / "s")
    os.chown(path, 1000, 1000)
    with pytest.raises(StageFailed, match="belongs to user 1000"):
        read_secret(path, "env_file")


def test_refuses_a_place_where_another_user_could_have_put_it(tmp_path: Path, open_path: Path) -> None:
    """Whoever owns a directory on the way can put a link, or another app's file, in its place."""
    theirs = open_path / "theirs"
    (theirs / "secrets").mkdir(parents=True)
    path = make(theirs / "secrets" / "s")
    assert read_secret(path, "env_file") == b"secret"
    os.chown(theirs, 1000, 1000)
    with pytest.raises(StageFailed, match=f"env_file: user 1000 can write to {theirs} and so put another file"):
        read_secret(path, "env_file")
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(StageFailed, match="user 1000 can write to"):
        read_secret(tmp_path / "link", "env_file")
    os.chown(theirs, 0, 0)
    theirs.chmod(0o777)
    with pytest.raises(StageFailed, match="everybody can write to"):
        read_secret(path, "env_file")
    theirs.chmod(0o775)
    assert read_secret(path, "env_file") == b"secret", "the group is our own"
    os.chown(theirs, 0, 1000)
    with pytest.raises(StageFailed, match="group 1000 can write to"):
        read_secret(path, "env_file")
    theirs.chmod(0o1777)
    assert read_secret(path, "env_file") == b"secret"
    (open_path / "link").symlink_to(tmp_path)
    os.lchown(open_path / "link", 1000, 1000)
    with pytest.raises(StageFailed, match="user 1000 can write to"):
        read_secret(open_path / "link" / "s", "env_file")


def test_refuses_what_is_no_file_or_too_large(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "directory").mkdir(mode=0o700)
    for name in ("fifo", "directory"):
        with pytest.raises(StageFailed, match="not a regular file"):
            read_secret(tmp_path / name, "env_file")
    with pytest.raises(StageFailed, match="No such file"):
        read_secret(tmp_path / "missing", "env_file")
    with pytest.raises(StageFailed, match="more than"):
        read_secret(make(tmp_path / "large", b"x" * (MAX_SIZE + 1)), "env_file")
