"""What is no build context: wrong places, damaged repositories, hostile trees. Each is one clear error."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from gitdeploy.errors import StageFailed
from gitdeploy.source.buildcontext import open_context
from gitdeploy.source.repository import open_repository
from tests.support.gitrepo import GitRepo, submodule, symlink

DOCKERFILE = b"FROM scratch\nCOPY . /\n"


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "app.git")


def failure(repo: GitRepo, **options: str) -> StageFailed:
    with open_repository(repo.path) as opened, pytest.raises(StageFailed) as caught:
        list(open_context(opened, opened.resolve("main"), **options))  # type: ignore[arg-type]
    assert caught.value.reason.isprintable()
    return caught.value


@pytest.mark.parametrize(
    ("options", "reason", "hint"),
    [
        ({"directory": "none"}, "the build context 'none' is not there", "the directories are: d"),
        ({"directory": "Dockerfile"}, "the build context 'Dockerfile' is a file", "set build.context"),
        ({"directory": "sub"}, "the build context 'sub' is a submodule", "set build.context"),
        ({"directory": "../other"}, "the build context '../other' leaves the tree", "inside of the repository"),
        ({"directory": "/etc"}, "the build context '/etc' leaves the tree", "inside of the repository"),
        ({"directory": "d/../.."}, "leaves the tree", "inside of the repository"),
        ({"directory": "out"}, "out is a symlink that leads out of the pushed tree", "point at a file of the repository"),
        ({"directory": "loop"}, "loop is a symlink that leads out of the pushed tree, or in a circle", "point at"),
        ({"dockerfile": "none"}, "there is no Dockerfile 'none'", "there is Dockerfile, Dockerfile.dev"),
        ({"dockerfile": "d/none"}, "there is no Dockerfile 'd/none'", "set build.dockerfile"),
        ({"dockerfile": "d"}, "the Dockerfile 'd' is a directory", "name a file"),
        ({"dockerfile": "../Dockerfile"}, "the Dockerfile '../Dockerfile' leaves the tree", "inside of the repository"),
        ({"dockerfile": "/etc/passwd"}, "the Dockerfile '/etc/passwd' leaves the tree", "inside of the repository"),
        ({"dockerfile": "passwd"}, "passwd is a symlink that leads out of the pushed tree", "make it a file"),
        ({"dockerfile": "up"}, "up is a symlink that leads out of the pushed tree", "make it a file"),
        ({"dockerfile": "huge"}, "huge has 2,000,000 bytes, expected at most 1,048,576", "make huge smaller"),
        ({"dockerfile": "\x1b[31m"}, r"there is no Dockerfile '\x1b[31m'", "set build.dockerfile"),
    ],
)
def test_what_is_no_context(repo: GitRepo, options: dict[str, str], reason: str, hint: str) -> None:
    files = {
        "Dockerfile": DOCKERFILE,
        "Dockerfile.dev": DOCKERFILE,
        "d/x": b"",
        "sub": submodule("1" * 40),
        "out": symlink(b"../../x"),
        "loop": symlink(b"loop"),
        "passwd": symlink(b"/etc/passwd"),
        "up": symlink(b"d/../../etc"),
        "huge": bytes(2_000_000),
    }
    repo.commit(files)
    error = failure(repo, **options)
    assert reason in error.reason
    assert hint in error.hint


def test_no_dockerfile_at_all(repo: GitRepo) -> None:
    repo.commit({"a": b""})
    assert failure(repo).hint == "add one, or set build.dockerfile"


def test_a_wrong_dockerignore(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, ".dockerignore": b"fine\n[a\n"})
    assert ".dockerignore: the pattern '[a' is wrong" in failure(repo).reason
    repo.commit({"Dockerfile": DOCKERFILE, ".dockerignore/x": b""})
    assert ".dockerignore is a directory in commit" in failure(repo).reason
    repo.commit({"Dockerfile": DOCKERFILE, ".dockerignore": bytes(100_000)})
    assert ".dockerignore has 100,000 bytes" in failure(repo).reason


def test_an_object_that_is_missing_on_the_way(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "z": b"gone"})
    repo.unpack()
    repo.loose(repo.id("rev-parse", "main:z")).unlink()
    assert "is missing in" in failure(repo).reason


def test_a_large_object_that_is_damaged(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "z": random.Random(1).randbytes(5_000_000)})
    repo.unpack()
    file = repo.loose(repo.id("rev-parse", "main:z"))
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:4_000_000])
    assert "is damaged" in failure(repo).reason


HOSTILE = {
    "dot": [("100644", b".", "blob")],
    "dot dot": [("40000", b"..", "tree")],
    "git": [("40000", b".git", "tree")],
    "git in capitals": [("40000", b".GiT", "tree")],
    "slash": [("100644", b"a/../../x", "blob")],
    "absolute": [("100644", b"/etc/passwd", "blob")],
    "empty name": [("100644", b"", "blob")],
    "one name twice": [("120000", b"a", "blob"), ("40000", b"a", "tree")],
    "fifo": [("010644", b"a", "blob")],
    "device": [("060644", b"a", "blob")],
    "socket": [("140644", b"a", "blob")],
    "odd mode": [("9", b"a", "blob")],
    "tree as blob": [("100644", b"a", "tree")],
    "blob as tree": [("40000", b"a", "blob")],
    "commit as blob": [("100644", b"a", "commit")],
    "link without target": [("120000", b"a", "empty")],
    "link with a long target": [("120000", b"a", "long")],
    "link with a NUL": [("120000", b"a", "nul")],
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("below", [False, True])
def test_a_hostile_tree_is_refused(repo: GitRepo, case: str, below: bool) -> None:
    commit = repo.commit({"x": b"1"})
    oids = {
        "blob": repo.blob(b"x"),
        "tree": repo.id("rev-parse", "main^{tree}"),
        "commit": commit,
        "empty": repo.blob(b""),
        "long": repo.blob(b"x" * 5000),
        "nul": repo.blob(b"a\0b"),
    }
    entries = [(mode, name, oids[what]) for mode, name, what in HOSTILE[case]]
    entries = [("40000", b"z", repo.tree_of(entries))] if below else entries
    repo.commit_of(repo.tree_of([("100644", b"Dockerfile", repo.blob(DOCKERFILE)), *entries]))
    error = failure(repo)
    assert len(error.reason) < 500


def test_a_tree_of_many_trees_is_refused(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitdeploy.source.walk.MAX_ENTRIES", 20_000)
    blob, tree = repo.blob(b"x"), ""
    for _ in range(12):
        entry = ("40000", tree) if tree else ("100644", blob)
        tree = repo.tree_of([(entry[0], b"%d" % i, entry[1]) for i in range(10)])
    repo.commit_of(repo.tree_of([("100644", b"Dockerfile", repo.blob(DOCKERFILE)), ("40000", b"z", tree)]))
    assert "more than 20,000 files" in failure(repo).reason


def test_a_tree_that_is_none_is_refused_at_once(repo: GitRepo) -> None:
    data = b"000000 " * 2_000_000
    tree = repo.id("hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=data)
    repo.commit_of(repo.tree_of([("100644", b"Dockerfile", repo.blob(DOCKERFILE)), ("40000", b"z", tree)]))
    started = time.process_time()
    assert "an entry that is not one" in failure(repo).reason
    assert time.process_time() - started < 2


def test_a_path_that_no_kernel_takes_is_refused(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "/".join(["d" * 200] * 21): b""})
    assert "has more than 4,096 bytes" in failure(repo).reason


@pytest.mark.parametrize("path", ["Dockerfile", "deploy/app"])
def test_a_dockerfile_that_is_a_pointer_is_refused(repo: GitRepo, path: str) -> None:
    """What it points at is not what was checked."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 10\n".encode()
    repo.commit({path: pointer})
    assert f"the Dockerfile {path} is a Git LFS pointer" in failure(repo, dockerfile=path).reason
