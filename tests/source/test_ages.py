"""When files were last changed: whatever trees follow one another, newer content has a later time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.source import ages
from gitdeploy.source.ages import Ages, BadAges, advance, load
from gitdeploy.source.bounds import DIRECTORY, EXECUTABLE, FILE, SUBMODULE, SYMLINK
from gitdeploy.source.tree import TreeEntry

Node = "tuple[int, bytes] | dict[bytes, Node]"  # a mode and a content, or a directory


class Store:
    """Trees by id, as a repository has them; some can be lost."""

    def __init__(self) -> None:
        self.trees: dict[bytes, dict[bytes, TreeEntry]] = {}
        self.opened: list[bytes] = []

    def add(self, files: Mapping[bytes, object]) -> bytes:
        """Keeps a directory and returns its id."""
        entries = {}
        for name, node in files.items():
            if isinstance(node, dict):
                entries[name] = TreeEntry(DIRECTORY, name, self.add(node))
            else:
                mode, content = node  # type: ignore[misc]
                entries[name] = TreeEntry(mode, name, identity(content))
        oid = identity(repr(sorted(entries.items())).encode())
        self.trees[oid] = entries
        return oid

    def read(self, oid: bytes, path: bytes) -> Mapping[bytes, TreeEntry] | None:
        self.opened.append(path)
        return self.trees.get(oid)


def identity(content: bytes) -> bytes:
    return content[:20].ljust(20, b"\0") if len(content) <= 20 else hashlib.sha1(content).digest()


def flat(files: Mapping[bytes, object], prefix: bytes = b"") -> dict[bytes, tuple[int, bytes]]:
    """Path → mode and content of all files; of a submodule, of two files in it."""
    found: dict[bytes, tuple[int, bytes]] = {}
    for name, node in files.items():
        if isinstance(node, dict):
            found |= flat(node, prefix + name + b"/")
        elif node[0] == SUBMODULE:  # type: ignore[index]
            found |= {prefix + name + b"/" + inner: node for inner in (b"a", b"x/b")}  # type: ignore[dict-item]
        else:
            found[prefix + name] = node  # type: ignore[assignment]
    return found


NAMES = st.sampled_from([b"a", b"b", b"a.b", b"x"])
LEAVES = st.tuples(st.sampled_from([FILE, FILE, EXECUTABLE, SYMLINK, SUBMODULE]), st.sampled_from([b"1", b"2", b"3"]))
TREES = st.recursive(LEAVES, lambda children: st.dictionaries(NAMES, children, max_size=3), max_leaves=8)
ROOTS = st.dictionaries(NAMES, TREES, max_size=4)
HISTORIES = st.lists(st.tuples(ROOTS, st.integers(0, 12), st.booleans()), min_size=2, max_size=8)


@given(HISTORIES, st.data())
def test_newer_content_never_has_an_earlier_or_equal_time(
    history: list[tuple[dict[bytes, object], int, bool]], data: st.DataObject
) -> None:
    """Over trees and commit times in any order: reverts, renames, deletions, branches in turn, trees that `git gc` took."""
    store = Store()
    last: Ages | None = None
    latest: dict[bytes, tuple[int, tuple[int, bytes]]] = {}  # path → its latest time, and what was there then
    before: dict[bytes, tuple[int, bytes]] = {}
    for files, time, lost in [*history, *data.draw(st.lists(st.sampled_from(history), max_size=3))]:
        at = time + 1000
        tree = store.add(files)
        ages = advance(last, tree, at, store.read)
        now = flat(files)
        for path, content in now.items():
            found = ages.of(path)
            assert found >= 1000
            if path in latest:
                was, what = latest[path]
                assert found > was or (found == was and what == content)
            if last and before.get(path) == content and not lost:
                assert found >= last.of(path)
            latest[path] = found, content
        assert load(ages.dump()) == ages
        if lost:
            store.trees.pop(tree, None)
        last, before = ages, now


INNER: dict[bytes, object] = {b"a": (FILE, b"1"), b"b": (FILE, b"1"), b"e": {b"x": (FILE, b"1")}}
FIRST: dict[bytes, object] = {
    b"index": (FILE, b"1"),
    b"d": {b"a": (FILE, b"1"), b"b": (FILE, b"1"), b"e": {b"x": (FILE, b"1")}},
}


def times(ages: Ages, files: Mapping[bytes, object]) -> dict[str, int]:
    return {path.decode(): ages.of(path) for path in flat(files)}


def follow(*steps: tuple[Mapping[bytes, object], int]) -> tuple[Ages, Store]:
    """The ages after all of these trees, each with its commit's time."""
    store, ages = Store(), None
    for files, time in steps:
        ages = advance(ages, store.add(files), time, store.read)
    assert ages
    return ages, store


def test_everything_begins_with_the_time_of_the_commit() -> None:
    ages, store = follow((FIRST, 100))
    assert set(times(ages, FIRST).values()) == {100}
    assert store.opened == []


def test_only_what_changes_gets_a_new_time_and_nothing_else_is_opened() -> None:
    second = FIRST | {b"d": INNER | {b"a": (FILE, b"2")}}
    ages, store = follow((FIRST, 100), (second, 200))
    assert times(ages, second) == {"index": 100, "d/a": 200, "d/b": 100, "d/e/x": 100}
    assert set(store.opened) == {b"", b"d/"}
    assert len(ages.marks) == 1


@pytest.mark.parametrize(("time", "expected"), [(200, 200), (101, 101), (100, 101), (99, 101), (0, 101)])
def test_a_commit_that_is_not_later_counts_one_second_more(time: int, expected: int) -> None:
    ages, _ = follow((FIRST, 100), (FIRST | {b"index": (FILE, b"2")}, time))
    assert ages.of(b"index") == expected
    assert ages.of(b"d/a") == 100


def test_a_mode_is_a_change_too() -> None:
    ages, _ = follow((FIRST, 100), (FIRST | {b"index": (EXECUTABLE, b"1")}, 200))
    assert ages.of(b"index") == 200


def test_a_revert_is_newer_than_what_it_takes_back() -> None:
    ages, _ = follow((FIRST, 100), (FIRST | {b"index": (FILE, b"2")}, 200), (FIRST, 100))
    assert times(ages, FIRST) == {"index": 201, "d/a": 100, "d/b": 100, "d/e/x": 100}


def test_a_path_that_comes_back_is_newer_than_it_was() -> None:
    without = {b"index": (FILE, b"1")}
    changed = FIRST | {b"d": {b"a": (FILE, b"9")}}
    ages, _ = follow((FIRST, 100), (changed, 300), (without, 300), (FIRST, 200))
    assert times(ages, FIRST) == {"index": 100, "d/a": 301, "d/b": 301, "d/e/x": 301}


def test_new_directories_and_submodules_cost_one_mark() -> None:
    many = {b"%d" % number: (FILE, b"1") for number in range(1000)}
    second = FIRST | {b"new": many, b"sub": (SUBMODULE, b"1")}
    third = second | {b"sub": (SUBMODULE, b"2")}
    ages, store = follow((FIRST, 100), (second, 200), (third, 300))
    assert dict(ages.marks) == {b"new/": 200, b"sub/": 300}
    assert b"new/" not in store.opened
    assert (ages.of(b"new/7"), ages.of(b"sub/any/file")) == (200, 300)


def test_a_tree_that_cannot_be_read_any_more_counts_as_changed() -> None:
    second = FIRST | {b"d": INNER | {b"a": (FILE, b"2")}}
    store = Store()
    one, two = store.add(FIRST), store.add(second)
    del store.trees[store.trees[one][b"d"].oid]
    ages = advance(Ages(one, 100), two, 50, store.read)
    assert times(ages, second) == {"index": 100, "d/a": 101, "d/b": 101, "d/e/x": 101}
    del store.trees[two]
    again = advance(ages, one, 50, store.read)
    assert set(times(again, FIRST).values()) == {102}


def test_a_list_that_grows_too_long_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "MOST_BYTES", 100)
    many: dict[bytes, object] = {b"%d" % number: (FILE, b"1") for number in range(1000)}
    few = many | {b"%d" % number: (FILE, b"2") for number in range(3)}
    most = many | {b"%d" % number: (FILE, b"2") for number in range(900)}
    short, _ = follow((many, 100), (few, 200))
    assert len(short.marks) == 3
    long, _ = follow((many, 100), (few, 200), (most, 150))
    assert (long.base, dict(long.marks)) == (201, {})


def test_directories_that_refer_to_one_another_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ages, "MOST_DIRECTORIES", 50)

    def deep(content: bytes) -> dict[bytes, object]:
        node: dict[bytes, object] = {b"f": (FILE, content)}
        for _ in range(8):
            node = {b"a": node, b"b": node}
        return node

    made, store = follow((deep(b"1"), 100), (deep(b"2"), 200))
    assert (made.base, dict(made.marks)) == (200, {})
    assert len(store.opened) < 200


@pytest.mark.parametrize("data", [b"", b"x", Ages(b"t" * 20, 1).dump()[:-3], Ages(b"t", 1).dump(), Ages(b"t" * 20, -1).dump()])
def test_what_are_no_ages_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BadAges):
        load(data)


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    with pytest.raises(BadAges):
        load(data)
