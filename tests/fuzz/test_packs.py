"""Spoilt packs, indexes, loose objects, deltas and reftables: all that is in them is read, or a failure says so."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from dulwich.objects import ObjectID
from dulwich.refs import Ref
from dulwich.reftable import ReftableRefsContainer
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.errors import StageFailed
from gitdeploy.source import delta
from gitdeploy.source.buildcontext import open_context
from gitdeploy.source.inflate import LARGE, Damaged, Large
from gitdeploy.source.objects import Objects
from gitdeploy.source.repository import open_repository
from tests.fuzz.bounds import CHANGES, Change, bounded, spoilt
from tests.support.gitrepo import GitRepo


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    """A repository in one pack with deltas of deltas, small and large."""
    repo = GitRepo(tmp_path_factory.mktemp("fuzz") / "app.git")
    rng = random.Random(1)
    small, large = bytearray(rng.randbytes(2000)), bytearray(rng.randbytes(LARGE + 1000))
    for version in range(4):
        small[version * 10] ^= 1
        large[version * 1000] ^= 1
        repo.commit({"Dockerfile": b"FROM scratch\n", "d/s": bytes(small), "l": bytes(large), "n": b"%d" % version})
    repo.git("tag", "-a", "-m", "x", "v1")
    repo.git("repack", "-adfq", "--depth=50")
    return repo


def read_all(repository: Path, oids: list[str]) -> None:
    """Reads every object, and the build context, as far as that is possible."""
    with bounded():
        try:
            with open_repository(repository) as opened:
                for oid in oids:
                    read(opened.objects, bytes.fromhex(oid))
                    list(opened.objects.beginning_with(oid[:4]))
                commit = opened.resolve("v1")
                list(open_context(opened, commit))
        except (StageFailed, Damaged) as failed:
            assert str(failed).isprintable()


def read(objects: Objects, oid: bytes) -> None:
    try:
        found = objects.lookup(oid)
        if found and isinstance(found[1], Large):
            assert sum(len(piece) for piece in found[1].pieces) == found[1].size
    except (StageFailed, Damaged) as failed:
        assert str(failed).isprintable()


@given(st.sampled_from(["pack", "idx"]), CHANGES, st.floats(0, 1))
def test_packs_and_indexes(packed: GitRepo, suffix: str, changes: list[Change], end: float) -> None:
    oids = packed.git("cat-file", "--batch-check=%(objectname)", "--batch-all-objects").decode().split()
    with TemporaryDirectory() as name:
        repository = Path(name) / "x.git"
        shutil.copytree(packed.path, repository, copy_function=shutil.copyfile)
        (path,) = repository.glob(f"objects/pack/*.{suffix}")
        data = spoilt(path.read_bytes(), changes)
        path.write_bytes(data if end > 0.3 else data[: int(end * 3 * len(data))])
        read_all(repository, oids)


@given(CHANGES, st.integers(0, 10**6))
def test_loose_objects(packed: GitRepo, changes: list[Change], which: int) -> None:
    oids = packed.git("cat-file", "--batch-check=%(objectname)", "--batch-all-objects").decode().split()
    with TemporaryDirectory() as name:
        repo = GitRepo(Path(name) / "x.git")
        oid = oids[which % len(oids)]
        kind = packed.git("cat-file", "-t", oid).decode().strip()
        repo.git("hash-object", "-w", "-t", kind, "--literally", "--stdin", stdin=packed.git("cat-file", kind, oid))
        path = repo.loose(oid)
        path.chmod(0o644)
        path.write_bytes(spoilt(path.read_bytes(), changes))
        with bounded(), open_repository(repo.path) as opened:
            read(opened.objects, bytes.fromhex(oid))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_deltas(base: bytes, instructions: bytes) -> None:
    data = bytes([len(base) & 0x7F | (0x80 if len(base) > 127 else 0), *([1] if len(base) > 127 else [])]) + instructions
    for change in (data, instructions):
        with bounded():
            try:
                size = delta.sizes(change)[1]
                with delta.spool(iter([base])) as below, delta.spool(iter([change])) as above:
                    assert sum(len(piece) for piece in delta.apply(below, above)) == size
            except (Damaged, StageFailed) as failed:
                assert str(failed).isprintable()


def with_tables(repository: Path) -> Path:
    """A repository with its refs in reftables, as dulwich writes them; returns the last table."""
    for part in ("objects", "refs"):
        (repository / part).mkdir(parents=True)
    config = "[core]\n\trepositoryformatversion = 1\n[extensions]\n\trefStorage = reftable\n"
    (repository / "config").write_text(config)
    refs = ReftableRefsContainer(str(repository))
    for number, name in enumerate((b"refs/heads/main", b"refs/tags/v1", b"refs/heads/main"), 1):
        refs.set_if_equals(Ref(name), None, ObjectID(b"%d" % number * 40))
    refs.set_symbolic_ref(Ref(b"HEAD"), Ref(b"refs/heads/main"))
    return max((repository / "reftable").glob("*.ref"))


@given(CHANGES, st.binary(max_size=60))
def test_reftables(changes: list[Change], listed: bytes) -> None:
    with TemporaryDirectory() as name:
        repository = Path(name) / "x.git"
        table = with_tables(repository)
        table.write_bytes(spoilt(table.read_bytes(), changes))
        tables = repository / "reftable/tables.list"
        tables.write_bytes(tables.read_bytes() + listed)
        before = sorted(repository.rglob("*"))
        with bounded(), open_repository(repository) as opened:
            try:
                opened.refs()
                opened.tip("refs/heads/main")
            except StageFailed as failed:
                assert (failed.reason + failed.hint).isprintable()
        assert before == sorted(repository.rglob("*")), "reading writes nothing"


def test_a_whole_reftable_is_read(tmp_path: Path) -> None:
    with_tables(tmp_path / "x.git")
    with open_repository(tmp_path / "x.git") as opened:
        assert opened.refs() == ["refs/heads/main", "refs/tags/v1"]
        with pytest.raises(StageFailed, match=r"commit 1{40} is missing"):
            opened.resolve("HEAD")
