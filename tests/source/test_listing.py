"""The list of a context, and the files on it: what a checkout has, as far as asked for, from a process not to be trusted."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.source import remotelisting
from gitdeploy.source.ages import Ages
from gitdeploy.source.bounds import RECORD
from gitdeploy.source.lfs import LfsStore
from gitdeploy.source.remotecontext import RemoteContext
from gitdeploy.source.remotelisting import Entry, RemoteListing
from tests.source.reading import context, opened, pid_of
from tests.support.gitrepo import GitRepo, Tree, executable, members, submodule, symlink
from tests.support.net import wait_until
from tests.support.params import sample

DOCKERFILE = b"FROM scratch\nCOPY . /\n"
FILES: Tree = {
    "Dockerfile": DOCKERFILE,
    "run.sh": executable(b"#!/bin/sh\n"),
    "empty": b"",
    "link": symlink(b"dir"),
    "far": symlink(b"dir/deep/link up"),
    "dir.x": b"1",
    "dir/a": b"22",
    "dir/deep/link up": symlink(b"../../run.sh"),
    "dir/deep/b*c": b"333",
    "dir-": b"4",
    b"bytes\xff\xfe/\x80": b"5",
    "naïve/ü": b"6",
    "n" * 255: b"7",
    "large": bytes(5_000_000),
    "loop": symlink(b"pool"),
    "pool": symlink(b"loop"),
    "out": symlink(b"../../etc"),
    "abs": symlink(b"/dir/a"),
    "root": symlink(b"."),
}


@pytest.fixture
def repo(open_path: Path) -> GitRepo:
    return GitRepo(open_path / "app.git")


def never() -> bool:
    return False


def listed(made: RemoteContext, follow: Sequence[str] = (), **more: Sequence[str]) -> tuple[RemoteListing, list[Entry]]:
    found = made.files_for(follow, more.get("include", ()), more.get("exclude", ()), never)
    return found, list(found.entries())


def paths(made: RemoteContext, follow: Sequence[str] = (), **more: Sequence[str]) -> set[str]:
    """What is listed, directories excepted."""
    return {entry[1].decode("utf-8", "surrogateescape") for entry in listed(made, follow, **more)[1] if entry[0] != 0o040755}


def read(listing: RemoteListing, numbers: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for number, piece in listing.contents(numbers):
        found[number] = found.get(number, b"") + piece
    return found


def test_it_has_what_git_archive_has(repo: GitRepo) -> None:
    repo.commit(FILES)
    with opened(repo.path) as repository:
        made = context(repository)
        listing, entries = listed(made)
        regular = [number for number, entry in enumerate(entries) if entry[0] & 0o170000 == 0o100000]
        content = read(listing, regular)
        found = {}
        for number, (mode, path, size, _, target) in enumerate(entries):
            kind = {0o040000: "directory", 0o100000: "file", 0o120000: "symlink"}[mode & 0o170000]
            data = hashlib.sha1(content[number]).hexdigest() if kind == "file" else target.decode()
            found[path.decode("utf-8", "surrogateescape")] = (kind, mode & 0o777, data)
            assert size == (len(content[number]) if kind == "file" else len(target))
        assert found == {name: (each.kind, each.mode, each.content) for name, each in repo.archive("main").items()}
        assert made.files == len(entries)
        assert made.bytes == sum(map(len, content.values()))


def test_the_order_is_the_one_that_buildkit_takes(repo: GitRepo) -> None:
    repo.commit(FILES)
    with opened(repo.path) as repository:
        order = [entry[1].split(b"/") for entry in listed(context(repository))[1]]
    assert order == sorted(order)
    assert order.index([b"dir", b"a"]) < order.index([b"dir-"]) < order.index([b"dir.x"])


def test_files_have_their_ages(repo: GitRepo) -> None:
    repo.commit(FILES)
    with opened(repo.path) as repository:
        commit = repository.resolve("main")
        made = context(repository)
        assert {entry[3] for entry in listed(made)[1]} == {0}
        marks = {b"dir/a": 2000, b"dir/deep/": 3000}
        made.use_ages(Ages(bytes.fromhex(commit.tree), 1000, 0, marks).dump())
        times = {entry[1]: entry[3] for entry in listed(made)[1]}
    assert times[b"dir/a"] == 2000
    assert {times[path] for path in times if path.startswith(b"dir/deep")} == {3000}
    assert {time for path, time in times.items() if not path.startswith((b"dir/a", b"dir/deep"))} == {1000}


def test_files_of_a_subdirectory_have_their_ages_too(repo: GitRepo) -> None:
    repo.commit({"svc/Dockerfile": DOCKERFILE, "svc/a": b"1", "svc/d/b": b"1", "a": b"1"})
    with opened(repo.path) as repository:
        commit = repository.resolve("main")
        made = repository.context(commit, directory="svc", dockerfile="svc/Dockerfile", lfs=None, submodules=None, limit=10**6)
        assert made.place == "svc/"
        made.use_ages(Ages(bytes.fromhex(commit.tree), 1000, 0, {b"svc/a": 2000, b"svc/d/": 3000, b"a": 4000}).dump())
        assert {entry[1]: entry[3] for entry in listed(made)[1]} == {b"Dockerfile": 1000, b"a": 2000, b"d": 3000, b"d/b": 3000}
        tar = b"".join(made.tar())
    assert [int(tar[at + 136 : at + 147], 8) for at in (0, 1024, 2048, 2560)] == [1000, 2000, 3000, 3000]


ALL = {name if isinstance(name, str) else os.fsdecode(name) for name in FILES}


@pytest.mark.parametrize(
    ("follow", "expected"),
    [
        ([], ALL),
        (["."], ALL),
        (["/"], ALL),
        (["dir/.."], ALL),
        (["run.sh", "dir"], {"run.sh", "dir/a", "dir/deep/link up", "dir/deep/b*c"}),
        (["link"], {"link", "dir/a", "dir/deep/link up", "dir/deep/b*c"}),
        (["link/a"], {"link", "dir/a"}),
        (["far"], {"far", "dir/deep/link up", "run.sh"}),
        (["abs"], {"abs", "dir/a"}),
        (["root/empty"], {"root", "empty"}),
        (["*.sh", "dir*"], {"run.sh", "dir.x", "dir-", "dir/a", "dir/deep/link up", "dir/deep/b*c"}),
        (["f*"], {"far", "dir/deep/link up", "run.sh"}),
        (["dir/deep/b?c"], {"dir/deep/b*c"}),
        (["dir/*"], {"dir/a", "dir/deep/link up", "dir/deep/b*c"}),
        (["loop", "out", "none/at/all"], {"loop", "pool", "out"}),
        (["../empty", "../../etc/passwd"], set()),
        (["out/passwd"], {"out"}),
        (["naïve/*"], {"naïve/ü"}),
    ],
)
def test_what_is_followed(repo: GitRepo, follow: list[str], expected: set[str]) -> None:
    repo.commit(FILES)
    with opened(repo.path) as repository:
        assert paths(context(repository), follow) == expected


def test_patterns_of_an_engine_and_those_of_dockerignore_hold_together(repo: GitRepo) -> None:
    ignore = {".dockerignore": b"**/b*\n!dir/deep\n*.x\n"}
    repo.commit({**FILES, **ignore})
    with opened(repo.path) as repository:
        made = context(repository)
        assert paths(made, ["dir", "dir.x"]) == {"dir/a", "dir/deep/link up"}
        assert paths(made, exclude=["*", "!dir"]) == {"dir/a", "dir/deep/link up"}
        assert paths(made, include=["**/a", "n*"]) == {"dir/a", "naïve/ü", "n" * 255}
        assert paths(made, ["dir"], exclude=["**/a", "dir/deep/b*"]) == {"dir/deep/link up"}
        with pytest.raises(StageFailed, match="the patterns of the engine: the pattern '\\[' is wrong"):
            paths(made, include=["["])


def test_a_chain_of_symlinks_as_long_as_a_hostile_one(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, **{f"l{number}": symlink(b"l%d" % (number + 1)) for number in range(3000)}})
    with opened(repo.path) as repository:
        assert len(paths(context(repository), ["l0"])) == 3000


def test_links_lead_into_submodules(repo: GitRepo, open_path: Path) -> None:
    from gitdeploy.source.sameserver import SameServer

    root = open_path / "repositories"
    inner, outer = GitRepo(root / "o" / "inner.git"), GitRepo(root / "o" / "outer.git")
    commit = inner.commit({"a": symlink(b"b"), "b": b"x", "c": b"y"})
    modules = b'[submodule "s"]\n\tpath = sub\n\turl = ../inner.git\n'
    outer.commit({"Dockerfile": DOCKERFILE, ".gitmodules": modules, "sub": submodule(commit)})
    with opened(outer.path, root=root) as repository:
        made = context(repository, submodules=SameServer(root, "o", frozenset()))
        listing, entries = listed(made, ["sub/a"])
        assert [entry[1] for entry in entries] == [b"sub", b"sub/a", b"sub/b"]
        assert read(listing, [2]) == {2: b"x"}


def test_a_list_outlives_the_process_that_made_it(repo: GitRepo) -> None:
    repo.commit(FILES)
    with opened(repo.path) as repository:
        made = context(repository)
        listing, entries = listed(made)
        number = [entry[1] for entry in entries].index(b"dir/a")
        os.kill(pid_of(repository), 9)
        wait_until(lambda: not repository.alive, 10, "the end of the process")
        assert read(listing, [number]) == {number: b"22"}


def test_damage_is_told_with_the_object(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "a": b"1", "b": b"22"})
    repo.unpack()
    loose = repo.loose(repo.id("rev-parse", "main:b"))
    with opened(repo.path) as repository:
        listing, entries = listed(context(repository))
        data = loose.read_bytes()
        loose.chmod(0o644)
        loose.write_bytes(data[:-6])
        with pytest.raises(StageFailed, match=r"is damaged"):
            read(listing, [len(entries) - 1])
        loose.unlink()
        with pytest.raises(StageFailed, match="is missing"):
            read(listing, [len(entries) - 1])


def test_lfs_pointers_count_as_what_they_stand_for(repo: GitRepo, open_path: Path) -> None:
    data = b"y" * 3_000_000
    oid = hashlib.sha256(data).hexdigest()
    store = open_path / "lfs" / oid[0] / oid[1]
    store.mkdir(parents=True)
    (store / oid).write_bytes(data)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n".encode()
    repo.commit({"Dockerfile": DOCKERFILE, "big": pointer, "no pointer": pointer.replace(b"version", b"Version")})
    with opened(repo.path) as repository:
        commit = repository.resolve("main")
        made = repository.context(
            commit,
            directory=".",
            dockerfile="Dockerfile",
            lfs=LfsStore(open_path / "lfs", 1, True, None),
            submodules=None,
            limit=10**7,
        )
        listing, entries = listed(made)
        assert [entry[2] for entry in entries] == [len(DOCKERFILE), len(data), len(pointer)]
        assert read(listing, [1])[1] == data
        (store / oid).unlink()
        with pytest.raises(StageFailed, match="the Git LFS object of big"):
            read(listing, [1])


def test_a_list_has_its_limit(repo: GitRepo) -> None:
    repo.commit(FILES)
    with opened(repo.path) as repository, pytest.raises(StageFailed, match=r"more than 1,000,000 bytes .* at large"):
        listed(context(repository, limit=1_000_000))


def test_a_name_that_no_disk_takes(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, ".dockerignore": b"m*", "d/" + "n" * 256: b"", "m" * 300: b""})
    with opened(repo.path) as repository, pytest.raises(StageFailed, match=r"the name n+… has more than 255 bytes"):
        listed(context(repository))


@pytest.mark.parametrize("count", sample((20_000, 100_000), 20_000))
def test_many_files_in_one_directory(repo: GitRepo, count: int) -> None:
    source = random.Random(1)
    files = {f"d/{source.randbytes(6).hex()}": b"%d" % (number % 1000) for number in range(count)}
    repo.commit({"Dockerfile": DOCKERFILE, **files})
    with opened(repo.path) as repository:
        made = context(repository)
        listing, entries = listed(made)
        assert len(entries) == count + 2
        last = entries[-1][1].decode()
        assert read(listing, [len(entries) - 1]) == {len(entries) - 1: files[last]}


def test_waiting_ends_when_nobody_wants_it_any_more(repo: GitRepo) -> None:
    repo.commit(FILES)
    with opened(repo.path) as repository:
        made = context(repository)
        made.opened()
        listing = made.files_for((), (), (), lambda: True)
        with pytest.raises(Cancelled):
            for _ in range(100):  # what has come already is taken all the same
                list(listing.entries())
        assert members(made) == repo.archive("main")


def test_a_list_that_failed_holds_up_no_other(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is read in a thread of its own, one at a time."""
    repo.commit(FILES)
    with opened(repo.path) as repository, ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two:
        made = context(repository)
        made.use_ages(Ages(b"t" * 20, 1).dump())
        with monkeypatch.context() as patch:
            patch.setattr(remotelisting, "MAX_ENTRIES", 3)
            failed = one.submit(listed, made).exception(60)
            assert isinstance(failed, StageFailed)
        counts = [two.submit(lambda: len(listed(made)[1])) for _ in range(4)]
        assert {count.result(60) for count in counts} == {len(listed(made)[1])}


# What a process says that a repository has taken over.


def record(name: bytes, depth: int = 0, mode: int = 0o100644, size: int = 1, time: int = 1, target: bytes = b"") -> bytes:
    return RECORD.pack(mode, depth, len(name), len(target), size, time) + name + target


FOLDER = record(b"d", mode=0o040755, size=0)
LINK = record(b"l", mode=0o120777, size=3, target=b"etc")
BAD = {
    "out of order": record(b"b") + record(b"a"),
    "one name twice": record(b"a") + record(b"a"),
    "no name": record(b""),
    "from above": record(b".."),
    "from here": record(b"."),
    "a path": record(b"a/b"),
    "from the root": record(b"/a"),
    "a zero byte": record(b"a\0b"),
    "deeper than there are directories": record(b"a", depth=1),
    "behind a symlink": LINK + record(b"passwd", depth=1),
    "behind a file": record(b"a") + record(b"b", depth=1),
    "behind a directory that is over": FOLDER + record(b"e") + record(b"f", depth=1),
    "a device": record(b"a", mode=0o060644),
    "a setuid file": record(b"a", mode=0o104755),
    "a directory with a size": record(b"a", mode=0o040755),
    "a symlink to nowhere": record(b"a", mode=0o120777, size=0),
    "a symlink of another size": record(b"a", mode=0o120777, size=4, target=b"etc"),
    "a symlink with a zero byte": record(b"a", mode=0o120777, size=3, target=b"e\0c"),
    "a hard link": record(b"a", target=b"b"),
    "a huge file": record(b"a", size=1 << 60),
    "a time of no clock": record(b"a", time=1 << 60),
    "a long name": record(b"n" * 256),
    "a long path": b"".join(record(b"d" * 255, depth=depth, mode=0o040755, size=0) for depth in range(17)),
    "cut off": record(b"a") + record(b"bcd")[:-2],
    "cut off in its head": record(b"a") + b"\0\0",
}


def from_child(*data: bytes) -> RemoteListing:
    def stream(request: dict[str, Any], size: int, cancelled: object) -> Iterator[bytes]:
        yield from data

    return RemoteListing(cast(RemoteContext, SimpleNamespace(opened=lambda: 1, stream=stream, bytes=0)), {"listing": 1}, never)


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_list_that_no_tree_has_is_refused(data: bytes) -> None:
    with pytest.raises(StageFailed, match="the reader's answer is none"):
        list(from_child(data).entries())


@given(st.lists(st.sampled_from([*BAD.values(), FOLDER, LINK, record(b"x", depth=1), record(b"z")]), max_size=6), st.data())
def test_whatever_comes_is_refused_or_a_list_of_a_tree(parts: list[bytes], data: st.DataObject) -> None:
    raw = bytearray(b"".join(parts))
    for _ in range(data.draw(st.integers(0, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = list(from_child(bytes(raw)).entries())
    except StageFailed:
        return
    order = [entry[1].split(b"/") for entry in found]
    assert order == sorted(order)
    folders = {entry[1] for entry in found if entry[0] == 0o040755}
    for _, path, *_rest in found:
        assert not {b"", b".", b".."} & set(path.split(b"/"))
        assert b"/" not in path or path.rpartition(b"/")[0] in folders


@pytest.mark.parametrize(("data", "good"), [((b"1", b"2"), True), ((b"12",), True), ((b"1",), False), ((b"123",), False)])
def test_files_have_the_bytes_that_were_announced(data: tuple[bytes, ...], good: bool) -> None:
    listing = from_child(record(b"a") + record(b"b"))
    assert len(list(listing.entries())) == 2
    listing._context.stream = lambda request, size, cancelled: (part for part in data)  # type: ignore[method-assign, assignment, return-value]
    if good:
        assert list(listing.contents([0, 1])) == [(0, b"1"), (0, b""), (1, b"2"), (1, b"")]
    else:
        with pytest.raises(StageFailed, match="the reader's answer is none"):
            list(listing.contents([0, 1]))
