"""Objects however they are stored: loose, packed, as deltas, borrowed; whole and damaged ones."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from dulwich.pack import apply_delta, create_delta
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.errors import StageFailed
from gitdeploy.source import delta
from gitdeploy.source.inflate import LARGE, Damaged, Large
from gitdeploy.source.objects import BLOB, COMMIT, TREE, Objects
from gitdeploy.source.repository import open_repository
from tests.support.gitrepo import GitRepo


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "app.git")


def whole(objects: Objects, oid: str, kind: int = BLOB) -> bytes:
    content = objects.get(bytes.fromhex(oid), kind)
    if isinstance(content, Large):
        data = b"".join(content.pieces)
        assert len(data) == content.size
        return data
    return content


def all_ids(repo: GitRepo) -> dict[str, str]:
    """Every object and its kind."""
    lines = repo.git("cat-file", "--batch-check=%(objectname) %(objecttype)", "--batch-all-objects").decode().splitlines()
    return dict(line.split() for line in lines)


def history(repo: GitRepo, size: int, versions: int = 12) -> None:
    """Versions of a few files that differ little, so that Git stores deltas of deltas."""
    rng = random.Random(size)
    files = {f"d/{name}": bytearray(rng.randbytes(size)) for name in "abc"}
    for version in range(versions):
        for data in files.values():
            at = rng.randrange(size - 10)
            data[at : at + 5] = rng.randbytes(8)
        repo.commit({name: bytes(data) for name, data in files.items()} | {"n": str(version).encode()})


REPACKS = {
    "offset deltas": ["repack", "-adfq", "--depth=50"],
    "named bases": ["-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq", "--depth=50"],
    "index of version 1": ["-c", "pack.indexVersion=1", "repack", "-adfq", "--depth=0"],
    "no compression": ["-c", "core.compression=0", "repack", "-adFq", "--depth=0"],
    "no deltas": ["repack", "-adfq", "--depth=0"],
}
DELTAS = ["offset deltas", "named bases"]


@pytest.mark.parametrize(("how", "size"), [*((how, 3000) for how in REPACKS), *((how, LARGE + 1000) for how in DELTAS)])
def test_every_packed_object_is_what_git_says(repo: GitRepo, how: str, size: int) -> None:
    history(repo, size, 12 if size < LARGE else 3)
    repo.git(*REPACKS[how])
    packed = repo.git("verify-pack", "-v", *map(str, repo.path.glob("objects/pack/*.idx")))
    assert (b"chain length = 2" in packed) == (how in DELTAS)
    kinds = {"blob": BLOB, "tree": TREE, "commit": COMMIT}
    with open_repository(repo.path) as opened:
        for oid, kind in all_ids(repo).items():
            assert repo.git("cat-file", kind, oid) == whole(opened.objects, oid, kinds[kind])


@pytest.mark.parametrize("size", [0, 1, 5000, 100_000, LARGE, LARGE + 1, 3 * LARGE])
@pytest.mark.parametrize("packed", [False, True])
def test_a_blob_of_any_size(repo: GitRepo, size: int, packed: bool) -> None:
    for data in (os.urandom(size), bytes(size)):
        repo.commit({"f": data})
        oid = repo.id("rev-parse", "main:f")
        if not packed:
            repo.unpack()
        with open_repository(repo.path) as opened:
            assert isinstance(opened.objects.get(bytes.fromhex(oid), BLOB), Large) == (size > LARGE)
            assert data == whole(opened.objects, oid)


def test_objects_of_alternates(repo: GitRepo, tmp_path: Path) -> None:
    repo.commit({"a": b"1"})
    repo.git("clone", "-q", "--bare", "--shared", ".", str(tmp_path / "fork.git"))
    fork = GitRepo.__new__(GitRepo)
    fork.path = tmp_path / "fork.git"
    fork.git("clone", "-q", "--bare", "--shared", ".", str(tmp_path / "fork2.git"))
    with open_repository(tmp_path / "fork2.git") as opened:
        assert opened.read_file(opened.resolve("main"), "a", 10) == b"1"
        assert opened.resolve(opened.resolve("main").id[:8])


def test_an_alternate_that_is_not_there_is_named(repo: GitRepo, tmp_path: Path) -> None:
    repo.commit({"a": b"1"})
    repo.git("clone", "-q", "--bare", "--shared", ".", str(tmp_path / "fork.git"))
    shutil.move(repo.path, tmp_path / "away.git")
    with open_repository(tmp_path / "fork.git") as opened, pytest.raises(StageFailed) as caught:
        opened.resolve("main")
    assert f"it borrows objects from {repo.path}/objects, which is not there" in caught.value.reason


def test_a_missing_object_is_named(repo: GitRepo) -> None:
    repo.commit({"a": b"content"})
    repo.unpack()
    oid = repo.id("rev-parse", "main:a")
    repo.loose(oid).unlink()
    with open_repository(repo.path) as opened, pytest.raises(StageFailed) as caught:
        opened.read_file(opened.resolve("main"), "a", 100)
    assert f"blob {oid} is missing in {repo.path}" in caught.value.reason
    assert "fsck" in caught.value.hint


@pytest.mark.parametrize("size", [100, 3 * LARGE])
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "middle"])
def test_a_damaged_loose_object_is_named(repo: GitRepo, damage: str, size: int) -> None:
    repo.commit({"a": random.Random(1).randbytes(size)})
    repo.unpack()
    oid = repo.id("rev-parse", "main:a")
    damage_file(repo.loose(oid), damage)
    with open_repository(repo.path) as opened, pytest.raises((StageFailed, Damaged)) as caught:
        whole(opened.objects, oid)
    if isinstance(caught.value, StageFailed):
        assert f"object {oid} of {repo.path} is damaged" in caught.value.reason
    else:
        assert "damaged" in opened.objects.damaged(bytes.fromhex(oid), caught.value).reason


@pytest.mark.parametrize("size", [100, 3 * LARGE])
@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "middle"])
def test_a_damaged_pack_is_an_error(repo: GitRepo, damage: str, size: int) -> None:
    repo.commit({"a": random.Random(1).randbytes(size)})
    (pack,) = repo.path.glob("objects/pack/*.pack")
    objects = all_ids(repo)
    damage_file(pack, damage)
    with open_repository(repo.path) as opened, pytest.raises((StageFailed, Damaged)):
        for oid in objects:
            found = opened.objects.lookup(bytes.fromhex(oid))
            assert found is not None
            if isinstance(found[1], Large):
                list(found[1].pieces)


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_a_damaged_index_is_an_error(repo: GitRepo, damage: str) -> None:
    repo.commit({"a": b"1"})
    (index,) = repo.path.glob("objects/pack/*.idx")
    damage_file(index, damage)
    with open_repository(repo.path) as opened, pytest.raises(StageFailed, match="pack"):
        opened.resolve("main")


def damage_file(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.chmod(0o644)
    half = len(data) // 2
    damaged = {
        "cut": data[:half],
        "garbage": random.Random(2).randbytes(len(data)),
        "empty": b"",
        "middle": data[:half] + bytes(b ^ 0xFF for b in data[half : half + 20]) + data[half + 20 :],
    }
    path.write_bytes(damaged[how])


def test_packs_that_come_while_reading(repo: GitRepo) -> None:
    first = repo.commit({"a": b"1"})
    repo.unpack()
    with open_repository(repo.path) as opened:
        commit = opened.resolve(first)
        repo.git("gc", "-q", "--prune=now")
        assert opened.read_file(commit, "a", 10) == b"1"
        second = repo.commit({"a": b"2"})
        repo.git("repack", "-adq")
        assert opened.read_file(opened.resolve(second), "a", 10) == b"2"


binary = st.binary(max_size=300)


@given(binary, st.lists(binary, max_size=4), st.integers(0, 300))
def test_deltas_on_disk_are_like_those_in_memory(base: bytes, parts: list[bytes], cut: int) -> None:
    target = base[cut:] + b"".join(parts) + base[:cut]
    change = b"".join(create_delta(base, target))
    with delta.spool(iter([base])) as below, delta.spool(iter([change])) as changes:
        assert b"".join(apply_delta(base, change)) == target == b"".join(delta.apply(below, changes))
    assert (len(base), len(target)) == delta.sizes(change)


@given(binary, st.binary(min_size=2, max_size=60))
def test_any_delta_is_applied_or_an_error(base: bytes, change: bytes) -> None:
    with delta.spool(iter([base])) as below, delta.spool(iter([change])) as changes:
        try:
            result = b"".join(delta.apply(below, changes))
        except Damaged:
            return
    assert delta.sizes(change) == (len(base), len(result))


@pytest.mark.parametrize("size", [10, LARGE + 1])
@pytest.mark.parametrize("packed", [False, True])
def test_content_of_another_id_is_damaged(repo: GitRepo, size: int, packed: bool) -> None:
    """Whole and well-formed, but not what the id says: whoever writes to the repository's files could put it there."""
    data = random.Random(1).randbytes(size)
    oid, other = repo.blob(data), repo.blob(data[:-1] + b"!")
    repo.loose(oid).chmod(0o644)
    if packed:
        for name in (oid, other):
            repo.git(
                "pack-objects", "-q", "--no-reuse-object", str(repo.path / "objects/pack/pack"), stdin=f"{name}\n".encode()
            )
        packs = {repo.git("show-index", stdin=p.read_bytes()).split()[1].decode(): p for p in repo.path.rglob("*.idx")}
        packs[oid].with_suffix(".pack").chmod(0o644)
        shutil.copy(packs[other].with_suffix(".pack"), packs[oid].with_suffix(".pack"))
        repo.loose(oid).unlink()
    else:
        shutil.copy(repo.loose(other), repo.loose(oid))
    with open_repository(repo.path) as repository:
        assert whole(repository.objects, other) == data[:-1] + b"!"
        with pytest.raises((Damaged, StageFailed), match="its content has another id"):
            whole(repository.objects, oid)


def test_raw_objects(repo: GitRepo) -> None:
    commit = repo.commit({"VERSION": b"1\n"})
    repo.git("tag", "-a", "-m", "one", "v1", commit)
    with open_repository(repo.path) as repository:
        assert repository.raw(commit) == ("commit", repo.git("cat-file", "commit", commit))
        assert repository.raw("refs/heads/main") == repository.raw(commit)
        assert repository.raw("refs/tags/v1") == ("tag", repo.git("cat-file", "tag", "v1"))
        assert repository.raw(repo.id("rev-parse", "main:VERSION")) == ("blob", b"1\n")
        for missing in ("refs/tags/v2", "0" * 40):
            with pytest.raises(StageFailed):
                repository.raw(missing)
