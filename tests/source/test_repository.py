"""Repositories, refs, commits and single files."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from gitdeploy.errors import StageFailed
from gitdeploy.source.repository import Repository, open_repository
from tests.support.gitrepo import GitRepo, executable, submodule, symlink


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "app.git")


def failure(repository: Repository, rev: str) -> str:
    with pytest.raises(StageFailed) as caught:
        repository.resolve(rev)
    return caught.value.reason


def test_a_commit_is_told(repo: GitRepo) -> None:
    id = repo.commit({"a": b"1"}, "Añade una página\n\nBody.\n")
    with open_repository(repo.path) as opened:
        commit = opened.resolve("main")
    assert (id, repo.id("rev-parse", "main^{tree}")) == (commit.id, commit.tree)
    assert (commit.subject, commit.author, commit.time) == ("Añade una página", "Ann <ann@x>", 1700000000)


def test_names_of_a_commit(repo: GitRepo) -> None:
    first = repo.commit({"a": b"1"})
    second = repo.commit({"a": b"2"})
    repo.commit({"a": b"3"}, branch="feature/x")
    repo.git("tag", "light", first)
    repo.git("tag", "-a", "-m", "one", "v1", first)
    repo.git("tag", "-a", "-m", "tag of a tag", "v1-signed", "v1")
    tag_object = repo.id("rev-parse", "v1")
    repo.git("pack-refs", "--all")
    with open_repository(repo.path) as opened:
        for rev in ("light", "v1", "v1-signed", "refs/tags/v1", first, first.upper(), first[:10], tag_object):
            assert first == opened.resolve(rev).id, rev
        for rev in ("main", "refs/heads/main", "HEAD", second):
            assert second == opened.resolve(rev).id, rev
        assert repo.id("rev-parse", "feature/x") == opened.resolve("feature/x").id
        assert (second, first) == (opened.tip("refs/heads/main"), opened.tip("refs/tags/v1-signed"))
        assert opened.tip("refs/heads/none") is None


HOSTILE = [
    "", " ", ".", "..", "/", "-", "--help", "@", "@{0}", "main~1", "main^{tree}", "main:a", ":/change", "main\n", "ma in", "\0",
    "../../../../etc/passwd", "refs/heads/../../config", "refs/../HEAD", "refs/heads/main.lock", "/etc/passwd", "refs/heads/",
    "config", "objects", "main\x1b[31m", "\ud800", "x" * 5000, "$(touch pwned)", "refs/heads/$(touch pwned)", "*",
]  # fmt: skip


@pytest.mark.parametrize("rev", HOSTILE)
def test_a_hostile_name_names_nothing(repo: GitRepo, rev: str) -> None:
    repo.commit({"a": b"1"})
    before = sorted(repo.path.rglob("*"))
    with open_repository(repo.path) as opened:
        reason = failure(opened, rev)
        assert opened.tip(rev) is None
    assert "is no branch, tag or commit" in reason
    assert reason.isprintable() and len(reason) < 300
    assert before == sorted(repo.path.rglob("*"))


def test_a_branch_and_a_tag_of_one_name_are_ambiguous_unless_equal(repo: GitRepo) -> None:
    first = repo.commit({"a": b"1"})
    repo.git("tag", "main", first)
    with open_repository(repo.path) as opened:
        assert first == opened.resolve("main").id
    second = repo.commit({"a": b"2"})
    with open_repository(repo.path) as opened:
        with pytest.raises(StageFailed, match="ambiguous") as caught:
            opened.resolve("main")
        assert "refs/heads/main, refs/tags/main" in caught.value.hint
        assert second == opened.resolve("refs/heads/main").id


def test_first_digits_of_two_commits_are_ambiguous(repo: GitRepo) -> None:
    tree = repo.tree_of([])
    seen: dict[str, bytes] = {}
    while True:
        data = f"tree {tree}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\n{len(seen)}\n".encode()
        id = hashlib.sha1(b"commit %d\0%b" % (len(data), data)).hexdigest()
        if id[:4] in seen:
            break
        seen[id[:4]] = data
    for content in (data, seen[id[:4]]):
        repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=content)
    with open_repository(repo.path) as opened:
        assert "is ambiguous" in failure(opened, id[:4])
        assert id == opened.resolve(id[:20]).id


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_a_tag_of_something_else_is_no_commit(repo: GitRepo, kind: str) -> None:
    repo.commit({"a": b"1"})
    oid = repo.id("rev-parse", "main:a" if kind == "blob" else "main^{tree}")
    repo.git("tag", "-a", "-m", "x", "odd", oid)
    with open_repository(repo.path) as opened:
        assert f"does not lead to a commit but to {kind}" in failure(opened, "odd")


def test_a_commit_that_git_would_not_write(repo: GitRepo) -> None:
    tree = repo.tree_of([])
    data = f"tree {tree}\nauthor no one\nencoding nonsense\n\n".encode() + b"\x1b[2Jsubject \xff\r\n\nbody"
    repo.git("update-ref", "refs/heads/odd", repo.id("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=data))
    bare = repo.id("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=b"author x\n\nx")
    with open_repository(repo.path) as opened:
        commit = opened.resolve("odd")
        assert (commit.subject, commit.author, commit.time) == (r"\x1b[2Jsubject \xff\r", "no one", 0)
        assert "is damaged: its tree is no id" in failure(opened, bare)


def test_latin_1_subject(repo: GitRepo) -> None:
    people = "author A <a> 1 +0000\ncommitter A <a> 1 +0000"
    data = f"tree {repo.tree_of([])}\n{people}\nencoding ISO-8859-1\n\n".encode() + b"caf\xe9\n"
    id = repo.id("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=data)
    with open_repository(repo.path) as opened:
        assert opened.resolve(id).subject == "café"


def test_a_ref_with_garbage_in_it(repo: GitRepo) -> None:
    repo.commit({"a": b"1"})
    (repo.path / "refs" / "heads" / "odd").write_text("no id at all\n")
    with open_repository(repo.path) as opened:
        assert "ref refs/heads/odd" in failure(opened, "odd")


def test_a_branch_whose_commit_is_gone(repo: GitRepo) -> None:
    (repo.path / "refs" / "heads" / "gone").write_text("1" * 40 + "\n")
    with open_repository(repo.path) as opened:
        assert f"commit {'1' * 40} is missing" in failure(opened, "gone")


def test_read_file(repo: GitRepo) -> None:
    repo.commit({"VERSION": b"1.0\n", "d/f": executable(b"x"), "empty": b"", "é x": b"y"})
    with open_repository(repo.path) as opened:
        commit = opened.resolve("main")
        read = {path: opened.read_file(commit, path, 100) for path in ("VERSION", "d/f", "./d//f", "empty", "é x")}
        assert read == {"VERSION": b"1.0\n", "d/f": b"x", "./d//f": b"x", "empty": b"", "é x": b"y"}
        for path in ("none", "d/none", "VERSION/x", "none/x"):
            assert opened.read_file(commit, path, 100) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("link", "link is a symlink in commit"),
        ("d", "d is a directory in commit"),
        (".", ". is a directory in commit"),
        ("sub", "sub is a submodule in commit"),
        ("big", "big has 3,000,000 bytes, expected at most 1,000"),
        ("medium", "medium has 1,001 bytes, expected at most 1,000"),
        ("../../etc/passwd", "leaves the tree"),
        ("/etc/passwd", "leaves the tree"),
        ("a\0b", "leaves the tree"),
    ],
)
def test_read_file_that_is_none(repo: GitRepo, path: str, reason: str) -> None:
    files = {"link": symlink(b"/etc/passwd"), "d/f": b"", "big": os.urandom(3_000_000), "medium": bytes(1001)}
    repo.commit(files | {"sub": submodule("1" * 40)})
    with open_repository(repo.path) as opened, pytest.raises(StageFailed) as caught:
        opened.read_file(opened.resolve("main"), path, 1000)
    assert reason in caught.value.reason


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="there is no repository at"):
        open_repository(tmp_path / "none.git")
    with pytest.raises(StageFailed, match="is no Git repository"):
        open_repository(tmp_path)


@pytest.mark.parametrize("lost", ["objects", "refs"])
def test_a_repository_without_its_parts(repo: GitRepo, lost: str) -> None:
    shutil.rmtree(repo.path / lost)
    with pytest.raises(StageFailed, match="is no Git repository"):
        open_repository(repo.path)


@pytest.mark.parametrize("config", ["[core\n", "\0\xff", "[core]\n repositoryformatversion = 9\n", "[extensions]\n x = y\n"])
def test_a_repository_whose_config_is_damaged(repo: GitRepo, config: str) -> None:
    (repo.path / "config").write_text(config, encoding="latin-1")
    with pytest.raises(StageFailed, match=r"app\.git"):
        open_repository(repo.path)


def test_sha_256_is_refused(tmp_path: Path) -> None:
    repo = GitRepo(tmp_path / "new.git", "--object-format=sha256")
    with pytest.raises(StageFailed, match="SHA-256"):
        open_repository(repo.path)


def test_a_repository_with_a_working_tree(tmp_path: Path, repo: GitRepo) -> None:
    id = repo.commit({"a": b"1"})
    repo.git("clone", "-q", ".", str(tmp_path / "clone"))
    with open_repository(tmp_path / "clone") as opened:
        assert id == opened.resolve("main").id


def open_files() -> list[str]:
    return sorted(str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())


def test_everything_is_closed(repo: GitRepo) -> None:
    repo.commit({"a": b"1"})
    repo.commit({"a": b"2"})
    before = open_files()
    with open_repository(repo.path) as opened:
        assert opened.read_file(opened.resolve("main"), "a", 10) == b"2"
        assert opened.resolve(opened.resolve("main").id[:9])
        assert before != open_files()
    assert before == open_files()
