"""The build context: equal to a checkout, deterministic, and an error for what is no context."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitdeploy.source.buildcontext import open_context
from gitdeploy.source.repository import open_repository
from gitdeploy.source.stream import CHUNK
from tests.support.gitrepo import File, GitRepo, Member, Tree, executable, members, sha1, symlink

DOCKERFILE = b"FROM scratch\nCOPY . /\n"


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "app.git")


def stream(repo: GitRepo, rev: str = "main", **options: str) -> bytes:
    with open_repository(repo.path) as opened:
        return b"".join(open_context(opened, opened.resolve(rev), **options))  # type: ignore[arg-type]


def context(repo: GitRepo, files: Tree, **options: str) -> dict[str, Member]:
    repo.commit(files)
    return members(stream(repo, **options))


LONG = "/".join(["directory" * 5] * 8)

ODD: Tree = {
    "Dockerfile": DOCKERFILE,
    "run.sh": executable(b"#!/bin/sh\n"),
    "empty": b"",
    "link": symlink(b"run.sh"),
    "link out": symlink(b"../../etc/passwd"),
    "link abs": symlink(b"/etc/passwd"),
    "link far": symlink(b"x/" * 150),
    "dangling": symlink(b"none"),
    "C:\\new": b"1",
    "a:b/c d": b"2",
    "naïve/ü": b"3",
    b"bytes\xff\xfe/\x80": b"4",
    "new\nline": b"5",
    "-rf": b"6",
    "\x1b[31m": b"7",
    f"{LONG}/deep": b"8",
    f"{'n' * 255}": b"9",
    b"\xe9" * 200: b"10",
    "exactly" + "x" * 93: b"11",
    "blocks": bytes(512),
    "more": bytes(513),
    "large": bytes(5_000_000),
    ".gitattributes": b"secret export-ignore\n*.txt text eol=crlf\nident ident\n",
    "secret": b"not ignored",
    "n.txt": b"a\nb\n",
    "ident": b"$Id$",
    ".gitignore": b"*",
}


def test_everything_of_a_tree(repo: GitRepo) -> None:
    found = context(repo, ODD)
    files = {name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name: f for name, f in ODD.items()}
    expected = {}
    for name, data in files.items():
        file = data if isinstance(data, File) else File(data)
        kind = {"100644": ("file", 0o644), "100755": ("file", 0o755), "120000": ("symlink", 0o777)}[file.mode]
        content = file.data.decode() if kind[0] == "symlink" else sha1(file.data)
        expected[name] = Member(*kind, content)
        for parent in Path(name).parents[:-1]:
            expected[str(parent)] = Member("directory", 0o755, "")
    assert expected == found


names = st.binary(min_size=1, max_size=120).map(lambda b: b.replace(b"/", b"_").replace(b"\0", b"_"))
SPECIAL = (b".", b"..", b".git", b".gitmodules", b".dockerignore")  # git refuses some as directories or links
names = names.filter(lambda b: b.lower() not in SPECIAL)
data = st.binary(max_size=2000).filter(lambda b: not b.startswith(b"version "))  # no pointers of Git LFS
contents = data.map(File) | data.map(executable)
links = st.binary(min_size=1, max_size=200).filter(lambda b: b"\0" not in b).map(symlink)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.lists(names, min_size=1, max_size=3).map(b"/".join), contents | links, max_size=8))
def test_like_git_archive(repo: GitRepo, files: dict[bytes, File]) -> None:
    prefixes = {b"/".join(name.split(b"/")[:n]) for name in files for n in range(1, 4) if n < len(name.split(b"/"))}
    files = {name: file for name, file in files.items() if name not in prefixes}
    repo.commit(files | {b"Dockerfile": File(DOCKERFILE)})
    assert repo.archive("main") == members(stream(repo))


def test_the_dockerfile_comes_first_with_a_plain_header(repo: GitRepo) -> None:
    files = {"docker/web.Dockerfile": DOCKERFILE, "a" * 200: b"", "b": b"1"}
    found = context(repo, files, dockerfile="docker/web.Dockerfile")
    assert next(iter(found)) == "docker/web.Dockerfile"
    head = stream(repo, dockerfile="docker/web.Dockerfile")[:512]
    assert (head[:21], head[156:157], head[257:263]) == (b"docker/web.Dockerfile", b"0", b"ustar ")


def test_equal_trees_make_equal_streams(repo: GitRepo, tmp_path: Path) -> None:
    repo.commit(ODD, "one")
    first = stream(repo)
    repo.commit(ODD, "two, of another time and with other storage")
    repo.unpack()
    repo.git("repack", "-adq")
    assert first == stream(repo)
    with open_repository(repo.path) as opened:
        one = open_context(opened, opened.resolve("main"))
        assert first == b"".join(one) == b"".join(one)
        assert (one.bytes, one.files) == (len(first), len(ODD))


def test_the_key_follows_what_is_sent(repo: GitRepo) -> None:
    def key(files: Tree, **options: str) -> str:
        repo.commit(files)
        with open_repository(repo.path) as opened:
            return open_context(opened, opened.resolve("main"), **options).key  # type: ignore[arg-type]

    files: Tree = {"Dockerfile": DOCKERFILE, "app/Dockerfile": DOCKERFILE, "app/a": b"1", "docs/x": b"1"}
    keys = [
        key(files, directory="app"),
        key(files),
        key(files, dockerfile="app/Dockerfile"),
        key(files | {"app/a": b"2"}, directory="app"),
        key(files | {"app/.dockerignore": b"x"}, directory="app"),
        key(files | {"app/Dockerfile.dockerignore": b"a"}, directory="app"),
        key(files | {"app/Dockerfile": b"FROM x\n"}, directory="app"),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == key(files | {"docs/x": b"2"}, directory="app")


def test_chunks_are_of_a_useful_size(repo: GitRepo) -> None:
    repo.commit({f"f{i}": random.Random(i).randbytes(3000) for i in range(500)} | {"Dockerfile": DOCKERFILE})
    with open_repository(repo.path) as opened:
        sizes = [len(chunk) for chunk in open_context(opened, opened.resolve("main"))]
    assert all(CHUNK <= size <= 2 * CHUNK for size in sizes[:-1])


def test_a_subdirectory(repo: GitRepo) -> None:
    files: Tree = {
        "Dockerfile": b"FROM a\n",
        "app/x/Dockerfile": b"FROM b\n",
        "app/x/a/b": b"1",
        "app/y": b"2",
        ".dockerignore": b"*",
    }
    assert context(repo, files, directory="./app/x/").keys() == {"Dockerfile", "a", "a/b"}


def test_the_dockerfile_may_lie_outside_of_the_context(repo: GitRepo) -> None:
    repo.commit({"docker/Dockerfile": DOCKERFILE, "docker/Dockerfile.dockerignore": b"b", "app/a": b"1", "app/b": b"2"})
    with open_repository(repo.path) as opened:
        made = open_context(opened, opened.resolve("main"), directory="app", dockerfile="docker/Dockerfile")
        found = members(made)
    assert made.dockerfile.startswith(".dockerfile.")
    assert [*found] == [made.dockerfile, "a"]
    assert (found[made.dockerfile].content, made.content) == (sha1(DOCKERFILE), DOCKERFILE)


@pytest.mark.parametrize(
    ("files", "directory", "expected"),
    [
        ({"Dockerfile": b"a"}, ".", "Dockerfile"),
        ({"dockerfile": b"a", "Dockerfile.dev": b"b"}, ".", "dockerfile"),
        ({"app/Dockerfile": b"a", "Dockerfile": b"b"}, "app", "Dockerfile"),
        ({"app/dockerfile": b"a", "Dockerfile": b"b"}, "app", "dockerfile"),
        ({"app/x": b"b", "Dockerfile": b"a"}, "app", ".dockerfile."),
    ],
)
def test_the_plain_name_is_looked_for_as_docker_does(repo: GitRepo, files: Tree, directory: str, expected: str) -> None:
    found = context(repo, files, directory=directory)
    first = next(iter(found))
    assert first.startswith(expected)
    assert found[first].content == sha1(b"a")


def test_a_dockerfile_that_is_a_symlink(repo: GitRepo) -> None:
    found = context(repo, {"Dockerfile": symlink(b"build/../docker/x"), "docker/x": DOCKERFILE, "build/y": b""})
    assert [*found][:2] == ["docker/x", "Dockerfile"]
    assert found["Dockerfile"] == Member("symlink", 0o777, "build/../docker/x")


def test_a_long_path_of_a_dockerfile(repo: GitRepo) -> None:
    found = context(repo, {f"{LONG}/Dockerfile": DOCKERFILE}, dockerfile=f"{LONG}/Dockerfile")
    assert next(iter(found)).startswith(".dockerfile.")
    assert f"{LONG}/Dockerfile" in found


def test_dockerignore(repo: GitRepo) -> None:
    files = {"Dockerfile": DOCKERFILE, "a/b/c": b"", "a/b/d": b"", "a/x": b"", "log": b"", "web.Dockerfile": DOCKERFILE}
    ignore = {".dockerignore": b"# all but one\na\n!a/b/c\nlog\n.dockerignore\nDockerfile\n"}
    assert context(repo, files | ignore).keys() == {"Dockerfile", "a", "a/b", "a/b/c", "web.Dockerfile"}
    own = ignore | {"web.Dockerfile.dockerignore": b"a/b\n"}
    everything = {*files, *own, "a"} - {"a/b/c", "a/b/d"}
    assert context(repo, files | own, dockerfile="web.Dockerfile").keys() == everything


def test_a_dockerignore_that_is_a_symlink(repo: GitRepo) -> None:
    files = {"Dockerfile": DOCKERFILE, "a": b"", ".dockerignore": symlink(b"conf/ignore"), "conf/ignore": b"a\nconf"}
    assert context(repo, files).keys() == {"Dockerfile", ".dockerignore"}


def test_an_empty_dockerignore_of_the_dockerfile_beats_the_other(repo: GitRepo) -> None:
    files = {"Dockerfile": DOCKERFILE, "a": b"", ".dockerignore": b"a", "Dockerfile.dockerignore": b""}
    assert context(repo, files).keys() == files.keys()


@pytest.mark.parametrize(("mode", "expected"), [("100664", 0o644), ("100600", 0o644), ("100775", 0o755), ("100700", 0o755)])
def test_old_modes_are_read_as_git_reads_them(repo: GitRepo, mode: str, expected: int) -> None:
    repo.commit_of(repo.tree_of([("100644", b"Dockerfile", repo.blob(DOCKERFILE)), (mode, b"a", repo.blob(b"x"))]))
    assert members(stream(repo))["a"].mode == expected


def test_two_thousand_directories_deep(repo: GitRepo) -> None:
    found = context(repo, {"Dockerfile": DOCKERFILE, "/".join(["d"] * 2000): b"x"})
    assert len(found) == 2001


MEASURE = """
import resource, sys
from pathlib import Path
from gitdeploy.source.buildcontext import open_context
from gitdeploy.source.repository import open_repository
with open_repository(Path(sys.argv[1])) as opened:
    commit = opened.resolve("main")
    for chunk in open_context(opened, opened.resolve("small")): pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for chunk in open_context(opened, commit): pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("stored", ["loose", "packed", "as a delta"])
def test_memory_does_not_grow_with_a_file(repo: GitRepo, stored: str) -> None:
    data = random.Random(1).randbytes(30_000_000)
    repo.commit({"Dockerfile": DOCKERFILE}, branch="small")
    repo.commit({"Dockerfile": DOCKERFILE, "big": data})
    if stored == "loose":
        repo.unpack()
    if stored == "as a delta":
        repo.commit({"Dockerfile": DOCKERFILE, "big": data[:-1000]})
        repo.git("repack", "-adfq", "--depth=5", "--window=3", "--threads=1")
        assert b"chain length = 1" in repo.git("verify-pack", "-v", *map(str, repo.path.glob("objects/pack/*.idx")))
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", MEASURE, repo.path], cwd=root, check=True, capture_output=True)
    grown = int(done.stdout)
    assert grown < 8_000  # KiB
