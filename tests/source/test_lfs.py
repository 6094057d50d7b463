"""Git LFS pointers, replaced from a store laid out as Gogs does it."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from gitdeploy.errors import StageFailed
from gitdeploy.source.buildcontext import open_context
from gitdeploy.source.lfs import LfsStore, Owners, read_pointer
from gitdeploy.source.repository import open_repository
from tests.support.gitrepo import GitRepo, Member, executable, members, sha1

DOCKERFILE = b"FROM scratch\n"


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "app.git")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "lfs-objects"


def pointer(data: bytes, *, version: str = "https://git-lfs.github.com/spec/v1") -> bytes:
    return f"version {version}\noid sha256:{hashlib.sha256(data).hexdigest()}\nsize {len(data)}\n".encode()


def place(store: Path, data: bytes) -> Path:
    oid = hashlib.sha256(data).hexdigest()
    return store / oid[0] / oid[1] / oid


def keep(store: Path, data: bytes) -> Path:
    path = place(store, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def context(repo: GitRepo, store: Path | None) -> dict[str, Member]:
    with open_repository(repo.path) as opened:
        return members(open_context(opened, opened.resolve("main"), lfs=LfsStore(store, 1, True, None) if store else None))


def failure(repo: GitRepo, store: Path | None) -> StageFailed:
    with pytest.raises(StageFailed) as caught:
        context(repo, store)
    return caught.value


def test_pointers_are_replaced(repo: GitRepo, store: Path) -> None:
    small, large = b"a picture", bytes(range(256)) * 20_000
    keep(store, small)
    keep(store, large)
    old = pointer(small, version="https://hawser.github.com/spec/v1")
    repo.commit({"Dockerfile": DOCKERFILE, "a.png": pointer(small), "bin/x": executable(pointer(large)), "old": old})
    found = context(repo, store)
    assert found["a.png"] == found["old"] == Member("file", 0o644, sha1(small))
    assert found["bin/x"] == Member("file", 0o755, sha1(large))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"version https://git-lfs.github.com/spec/v2\noid sha256:1\nsize 1\n",
        b"# version https://git-lfs.github.com/spec/v1\n",
        pointer(b"x") + b"more text\n" * 100,
    ],
)
def test_what_only_looks_like_a_pointer_stays(repo: GitRepo, store: Path, data: bytes) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "a": data})
    assert context(repo, store)["a"].content == sha1(data)


VERSION = b"version https://git-lfs.github.com/spec/v1\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (VERSION + b"oid sha256:../../../etc/passwd\nsize 1\n", "has a wrong id: sha256:../../../etc/passwd"),
        (VERSION + b"oid sha256:" + b"A" * 64 + b"\nsize 1\n", "has a wrong id: sha256:AAAA"),
        (VERSION + b"oid md5:" + b"a" * 64 + b"\nsize 1\n", "has a wrong id: md5:"),
        (VERSION + b"size 1\n", "has a wrong id: none"),
        (VERSION + b"oid sha256:" + b"a" * 64 + b"\nsize -1\n", "has a wrong size: -1"),
        (VERSION + b"oid sha256:" + b"a" * 64 + b"\n", "has a wrong size: none"),
        (VERSION + b"oid sha256:\x1b[2J\xff\nsize 1\n", r"has a wrong id: sha256:\x1b[2J\xff"),
        (VERSION + b"ext-0-x sha256:1\noid sha256:" + b"a" * 64 + b"\nsize 1\n", "needs an LFS extension"),
    ],
)
def test_a_wrong_pointer_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(StageFailed) as caught:
        read_pointer(data, b"img/a.png")
    assert "img/a.png" in caught.value.reason
    assert reason in caught.value.reason


def test_an_object_that_is_not_in_the_store(repo: GitRepo, store: Path) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "img/a.png": pointer(b"x" * 1234)})
    error = failure(repo, store)
    assert "the Git LFS object of img/a.png" in error.reason
    assert "1,234 bytes" in error.reason
    assert str(place(store, b"x" * 1234)) in error.reason
    assert "git lfs push --all" in error.hint


def test_an_object_of_another_size(repo: GitRepo, store: Path) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "a": pointer(b"1234")})
    keep(store, b"1234").write_bytes(b"123")
    assert "has 3 bytes at" in failure(repo, store).reason


def test_an_object_with_other_content(repo: GitRepo, store: Path) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "a": pointer(b"1234")})
    keep(store, b"1234").write_bytes(b"1235")
    assert "is damaged: its SHA-256 is" in failure(repo, store).reason


def test_an_object_that_is_a_symlink_is_not_followed(repo: GitRepo, store: Path, tmp_path: Path) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "a": pointer(b"1234")})
    (tmp_path / "elsewhere").write_bytes(b"1234")
    keep(store, b"1234").unlink()
    place(store, b"1234").symlink_to(tmp_path / "elsewhere")
    assert "is not at" in failure(repo, store).reason


def test_a_server_without_a_store(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "a": pointer(b"1234")})
    error = failure(repo, None)
    assert "a is a Git LFS pointer, and the Git server has no LFS store" in error.reason
    assert ".dockerignore" in error.hint


def test_an_ignored_pointer_needs_no_object(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "a": pointer(b"1234"), ".dockerignore": b"a"})
    assert "a" not in context(repo, None)


@pytest.fixture
def tables(tmp_path: Path) -> sqlite3.Connection:
    """A Git server's tables: whose repository is which, and which object is whose."""
    made = sqlite3.connect(tmp_path / "server.db", isolation_level=None)
    made.executescript(
        'CREATE TABLE "user" (id INTEGER, lower_name TEXT);'
        "CREATE TABLE repository (id INTEGER, owner_id INTEGER, lower_name TEXT);"
        "CREATE TABLE lfs_object (repo_id INTEGER, oid TEXT);"
        """INSERT INTO "user" VALUES (7, 'devops'); INSERT INTO repository VALUES (1, 7, 'app'), (2, 7, 'private');"""
    )
    return made


def bound(repo: GitRepo, store: Path) -> dict[str, Member]:
    owners = Owners(store.parent / "server.db", "lfs_object", "repo_id")
    with open_repository(repo.path) as opened:
        return members(open_context(opened, opened.resolve("main"), lfs=LfsStore(store, 2, False, owners)))


def test_an_object_of_another_repository_does_not_come_out_by_its_id(tmp_path: Path, tables: sqlite3.Connection) -> None:
    repo, store, data = GitRepo(tmp_path / "devops/app.git"), tmp_path / "lfs", b"a secret of another repository"
    oid = hashlib.sha256(data).hexdigest()
    path = store / oid[:2] / oid[2:4] / oid[4:]  # as Gitea calls it
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    repo.commit({"Dockerfile": DOCKERFILE, "a": pointer(data)})
    tables.execute("INSERT INTO lfs_object VALUES (2, ?)", (oid,))
    with pytest.raises(StageFailed, match="is not one of this repository's") as caught:
        bound(repo, store)
    assert "git lfs push --all" in caught.value.hint
    tables.execute("INSERT INTO lfs_object VALUES (1, ?)", (oid,))
    assert bound(repo, store)["a"] == Member("file", 0o644, sha1(data))


def test_a_database_that_cannot_be_asked_gives_no_object(tmp_path: Path) -> None:
    repo, store = GitRepo(tmp_path / "devops/app.git"), tmp_path / "lfs"
    keep(store, b"x")
    repo.commit({"Dockerfile": DOCKERFILE, "a": pointer(b"x")})
    with pytest.raises(StageFailed, match=r"cannot be looked up in .*server\.db: .*No such file"):
        bound(repo, store)
    (tmp_path / "server.db").write_text("none")
    with pytest.raises(StageFailed, match=r"file is not a database|no such table") as caught:
        bound(repo, store)
    assert "[database] PATH in app.ini" in caught.value.hint
