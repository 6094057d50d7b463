"""Whether a push changed what an app is made of: compared tree by tree, in the process that reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.errors import StageFailed
from gitdeploy.source import changes
from tests.source.reading import opened
from tests.support.gitrepo import GitRepo, executable, symlink

BEFORE = {"admin/app.py": b"1", "admin/docs/a.md": b"1", "web/app.py": b"1", "VERSION": b"1", "lib/x/y/z": b"1"}

CASES = [
    ({"admin/app.py": b"2"}, ["admin/**"], True),
    ({"admin/app.py": b"2"}, ["admin"], True),
    ({"admin/app.py": b"2"}, ["web/**", "VERSION"], False),
    ({"admin/app.py": executable(b"1")}, ["admin"], True),
    ({"admin/app.py": symlink(b"x")}, ["admin"], True),
    ({"admin/new": b"1"}, ["admin"], True),
    ({"admin/docs/a.md": b"2"}, ["admin", "!admin/docs"], False),
    ({"admin/docs/a.md": b"2"}, ["admin", "!**/*.md"], False),
    ({"lib/x/y/z": b"2"}, ["**/z"], True),
    ({"lib/x/y/z": b"2"}, ["lib/*"], True),
    ({"lib/x/y/z": b"2"}, ["*"], True),
    ({"lib/x/y/z": b"2"}, ["lib/x/*.py"], False),
    ({"VERSION": b"2"}, ["VERSION"], True),
    ({}, ["**"], False),
]


@pytest.mark.parametrize(("changed", "patterns", "expected"), CASES)
def test_what_a_pattern_names(tmp_path: Path, changed: dict[str, bytes], patterns: list[str], expected: bool) -> None:
    repo = GitRepo(tmp_path / "r.git")
    old = repo.commit(BEFORE)
    new = repo.commit({**BEFORE, **changed})
    with opened(repo.path) as repository:
        assert repository.differ(old, new, patterns) is expected
        assert repository.differ(new, old, patterns) is expected


@pytest.mark.parametrize(
    ("after", "patterns", "expected"),
    [
        ({"web/app.py": b"1", "VERSION": b"1", "lib/x/y/z": b"1"}, ["admin/**"], True),  # a directory went
        ({**{k: v for k, v in BEFORE.items() if "admin" not in k}, "admin": b"1"}, ["admin"], True),  # it became a file
        ({**{k: v for k, v in BEFORE.items() if "admin" not in k}, "admin": b"1"}, ["admin/docs"], True),
        ({**{k: v for k, v in BEFORE.items() if "admin" not in k}, "admin": b"1"}, ["web"], False),
    ],
)
def test_directories_that_come_and_go(tmp_path: Path, after: dict[str, bytes], patterns: list[str], expected: bool) -> None:
    repo = GitRepo(tmp_path / "r.git")
    old, new = repo.commit(BEFORE), repo.commit(after)
    with opened(repo.path) as repository:
        assert repository.differ(old, new, patterns) is expected
        assert repository.differ(new, old, patterns) is expected


def test_what_is_the_same_is_not_read(tmp_path: Path) -> None:
    repo = GitRepo(tmp_path / "r.git")
    old = repo.commit(BEFORE)
    new = repo.commit({**BEFORE, "web/app.py": b"2"})
    repo.loose(repo.id("rev-parse", f"{new}:lib")).unlink(missing_ok=True)
    with opened(repo.path) as repository:
        assert repository.differ(old, new, ["admin/**"]) is False


def test_a_wrong_pattern_is_told(tmp_path: Path) -> None:
    repo = GitRepo(tmp_path / "r.git")
    old, new = repo.commit(BEFORE), repo.commit({"x": b""})
    with opened(repo.path) as repository, pytest.raises(StageFailed, match="paths: the pattern '!' is wrong"):
        repository.differ(old, new, ["!"])


def test_there_is_an_end_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_DIRECTORIES", 10)
    monkeypatch.setattr(
        changes, "_entries", lambda _, tree, path: {b"a": changes.TreeEntry(changes.DIRECTORY, b"a", tree + b"1")}
    )
    with pytest.raises(StageFailed, match="more than 10 directories differ"):
        changes.differ(None, b"1", b"2", ["x"])  # type: ignore[arg-type]  # nothing is read
