"""Whatever lies where git keeps a file: a link, a pipe, a device, a socket, a directory. Nothing is told, nothing hangs."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy.errors import StageFailed
from gitdeploy.source.repository import open_repository
from tests.support.gitrepo import GitRepo

CANARY = "canary-4711"
LIMIT = 3.0
"""Seconds that anything here may take."""


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    (tmp_path / "root").mkdir()
    (tmp_path / "canary").write_text(f"{CANARY}\n[core]\n\trepositoryformatversion = 0\n")
    (tmp_path / "elsewhere").mkdir()
    repo = GitRepo(tmp_path / "root" / "app.git")
    repo.commit({"a": b"1"})
    return repo


def link(path: Path) -> None:
    path.symlink_to(path.parents[len(path.parents) - 1] / CANARIES[0].relative_to("/"))


CANARIES: list[Path] = []


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            server.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


ODD: dict[str, Callable[[Path], object]] = {
    "link": link,
    "pipe": os.mkfifo,
    "endless device": lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5)),
    "socket": bound,
    "directory": Path.mkdir,
    "endless": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40),
}


def everything(repo: GitRepo) -> str:
    """Reads a repository in every way; returns all errors."""
    said = []
    for rev in ("main", "HEAD", "v1", "1234"):
        try:
            with open_repository(repo.path, repo.path.parent) as opened:
                opened.refs()
                commit = opened.resolve(rev)
                opened.read_file(commit, "a", 10)
        except StageFailed as error:
            said.append(f"{error.reason} {error.hint}")
    return "\n".join(said)


FILES = ("config", "packed-refs", "HEAD", "refs/heads/main", "objects/info/alternates", "pack", "idx", "loose")


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", FILES)
def test_something_odd_in_the_place_of_a_file(repo: GitRepo, name: str, kind: str) -> None:
    CANARIES[:] = [repo.path.parents[1] / "canary"]
    if name == "loose":
        repo.unpack()
        path = repo.loose(repo.id("rev-parse", "main"))
    elif name in ("pack", "idx"):
        path = next(repo.path.glob(f"objects/pack/*.{name}"))
    else:
        path = repo.path / name
    path.unlink(missing_ok=True)
    ODD[kind](path)
    started = time.monotonic()
    said = everything(repo)
    assert time.monotonic() - started < LIMIT
    assert CANARY not in said
    assert said
    if kind not in ("directory", "endless") and name not in ("HEAD",):
        assert {"link": "a symbolic link", "pipe": "a named pipe", "socket": "a socket"}.get(kind, "a device") in said


@pytest.mark.parametrize("name", ["shallow", "info/grafts", "objects/info/http-alternates", "config.worktree"])
@pytest.mark.parametrize("kind", ODD)
def test_files_that_are_never_looked_at(repo: GitRepo, name: str, kind: str) -> None:
    CANARIES[:] = [repo.path.parents[1] / "canary"]
    (repo.path / name).parent.mkdir(exist_ok=True)
    ODD[kind](repo.path / name)
    with open_repository(repo.path) as opened:
        assert opened.read_file(opened.resolve("main"), "a", 10) == b"1"


@pytest.mark.parametrize("name", ["objects", "objects/pack", "refs", "refs/heads", "objects/info", "."])
def test_a_directory_that_is_a_link(repo: GitRepo, name: str) -> None:
    path = repo.path / name
    moved = repo.path.parents[1] / "elsewhere" / "moved"
    shutil.move(path, moved)
    if name == "objects/info":
        (moved / "alternates").write_text(f"{repo.path.parents[1]}/elsewhere\n")
    path.symlink_to(moved)
    assert "symbolic link" in everything(repo)


def test_a_loose_object_behind_a_linked_directory(repo: GitRepo) -> None:
    repo.unpack()
    directory = repo.loose(repo.id("rev-parse", "main")).parent
    shutil.move(directory, repo.path.parents[1] / "elsewhere" / "moved")
    directory.symlink_to(repo.path.parents[1] / "elsewhere" / "moved")
    assert "symbolic link" in everything(repo)


REFUSED = {
    "includes another file": ("config", "[include]\n\tpath = {canary}\n"),
    "line 2 includes another file": ("config", '[core]\n[includeIf "gitdir:/"] path = {canary}\n'),
    "is no config file of git's: line 1: expected": ("config", f"{CANARY}\n"),
    "extension of the format": ("config", "[extensions]\n\tworktreeConfig = true\n"),
    "core.repositoryformatversion: expected 0 or 1": ("config", f"[core]\n\trepositoryformatversion = {CANARY}\n"),
    "a worktree of another repository": ("commondir", "{canary}\n"),
    "is a regular file where a directory is expected": (".git", "gitdir: {canary}\n"),
    "names a directory that is not below": ("objects/info/alternates", "{canary}\n"),
    "not below": ("objects/info/alternates", "../../../elsewhere\n"),
    "packed-refs is damaged": ("packed-refs", f"# pack-refs with: peeled\n{CANARY} {CANARY}\n"),
    "does not hold a commit id": ("refs/heads/main", f"{CANARY}\n"),
}


@pytest.mark.parametrize("expected", REFUSED)
def test_what_leads_elsewhere_is_refused_without_a_quotation(repo: GitRepo, expected: str) -> None:
    name, content = REFUSED[expected]
    (repo.path / name).unlink(missing_ok=True)
    (repo.path / name).write_text(content.format(canary=repo.path.parents[1] / "canary"))
    said = everything(repo)
    assert expected in said
    assert CANARY not in said


def test_a_fork_that_borrows_within_the_root(repo: GitRepo) -> None:
    root = repo.path.parent
    (root / "owner").mkdir()
    repo.git("clone", "-q", "--bare", "--shared", ".", str(root / "owner" / "fork.git"))
    with open_repository(root / "owner" / "fork.git", root) as opened:
        assert opened.read_file(opened.resolve("main"), "a", 10) == b"1"
    with pytest.raises(StageFailed, match="names a directory that is not below"):
        open_repository(root / "owner" / "fork.git")


def test_forks_that_borrow_from_one_another_in_a_circle(repo: GitRepo) -> None:
    (repo.path / "objects/info/alternates").write_text(f"{repo.path}/objects\n../../app.git/objects\n# comment\n\n" * 100)
    with open_repository(repo.path) as opened:
        assert opened.read_file(opened.resolve("main"), "a", 10) == b"1"
