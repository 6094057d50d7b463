"""Which times the files of a build get, and under which key an engine keeps them, whatever happened to the build before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gitdeploy.pipeline import contextages
from gitdeploy.pipeline.contextages import commit_time
from gitdeploy.releases.records import BuiltAges
from gitdeploy.releases.state import State
from gitdeploy.source.commit import Commit

APP = "o/app"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as state:
        yield state


def begin(state: State, tree: str = "a", place: str = "", app: str = APP, anew: bool | None = None) -> tuple[str, bytes]:
    """The key of a build, and the times that its files get."""
    given: list[bytes] = []

    def ages(commit: Commit, last: bytes, now: int) -> tuple[bytes, bool]:
        return last + commit.tree.encode(), not last if anew is None else anew

    repository = cast(Any, SimpleNamespace(ages=ages))
    context = cast(Any, SimpleNamespace(place=place, use_ages=given.append))
    tools = cast(Any, SimpleNamespace(state=state, now=lambda: 2000.0))
    return contextages.begin(app, Commit("c", tree, "", "", 1000), repository, context, tools), given[0]


def test_the_key_stays_while_builds_come_to_their_end(state: State) -> None:
    first, ages = begin(state)
    state.ages_known(APP)
    second, more = begin(state, "b")
    assert (first, ages, more) == (second, b"a", b"ab")
    assert state.ages(APP) == BuiltAges(b"ab", state.ages(APP).key, known=False)  # type: ignore[union-attr]


def test_a_build_without_an_end_is_followed_by_another_key_with_times_that_go_on(state: State) -> None:
    first, _ = begin(state)
    second, ages = begin(state, "b")
    assert first != second
    assert ages == b"ab"


def test_times_that_begin_anew_have_another_key(state: State) -> None:
    first, _ = begin(state)
    state.ages_known(APP)
    assert begin(state, anew=True)[0] != first


def test_apps_and_directories_have_keys_of_their_own(state: State) -> None:
    begin(state)
    keys = set()
    for app, place in ((APP, ""), (APP, "svc/"), ("o/other", "")):
        state.ages_known(app)
        keys.add(begin(state, app=app, place=place)[0])
    assert len(keys) == 3


def test_they_are_on_disk_before_anybody_gets_them(state: State, tmp_path: Path) -> None:
    """As after kill -9: what another connection sees."""
    begin(state)
    with State(tmp_path / "state.db") as other:
        found = other.ages(APP)
    assert found
    assert (found.ages, found.known) == (b"a", False)


def test_they_go_with_the_app_to_its_new_name(state: State) -> None:
    begin(state)
    state.rename(APP, "o/new")
    assert state.ages(APP) is None
    assert state.ages("o/new")


@pytest.mark.parametrize(("said", "taken"), [(1000, 1000), (2000, 2000), (2001, 2000), (0, 2000), (10**11, 2000)])
def test_a_time_that_is_none_or_yet_to_come_counts_as_now(said: int, taken: int) -> None:
    assert commit_time(Commit("c", "t", "", "", said), 2000.9) == taken
