"""Which moves of refs are found, and which of them are deployed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitdeploy.intake.moves import SETTLE, Move, compare, judge, settle
from gitdeploy.intake.push import PushRecord, RefUpdate
from gitdeploy.releases.records import Deployment, Seen

A, B, C = "a" * 40, "b" * 40, "c" * 40
ZERO = "0" * 40
MAIN = ("refs/heads/main",)
ALL = ("refs/heads/*",)
SEEN = Seen(MAIN, {"refs/heads/main": A})

ROW = Deployment(
    id=1,
    app="o/r",
    record="1-a",
    trigger="push",
    ref="refs/heads/main",
    commit_id=B,
    subject="",
    pusher="",
    strategy="",
    version="",
    tree="",
    image="",
    digest="",
    status="failed",
    stage="",
    error="",
    hint="",
    exit_code=1,
    created=0.0,
    started=None,
    finished=None,
    outage=None,
    attempts=1,
    config="",
    retained=False,
)
MOVE = Move("refs/heads/main", A, B)


def test_the_first_look_only_remembers() -> None:
    assert compare(None, MAIN, {"refs/heads/main": A}) == (SEEN, ())


def test_nothing_moved() -> None:
    assert compare(SEEN, MAIN, {"refs/heads/main": A}) == (SEEN, ())


def test_a_move_is_remembered_when_it_is_settled_and_no_earlier() -> None:
    seen, moves = compare(SEEN, MAIN, {"refs/heads/main": B})
    assert (seen, moves) == (SEEN, (MOVE,))
    assert settle(seen, MOVE) == Seen(MAIN, {"refs/heads/main": B})


def test_a_new_ref_is_a_move_until_it_is_settled() -> None:
    before = Seen(ALL, {})
    seen, moves = compare(before, ALL, {"refs/heads/new": A})
    assert moves == (Move("refs/heads/new", ZERO, A),)
    assert compare(seen, ALL, {"refs/heads/new": A}) == (seen, moves)
    assert compare(settle(seen, moves[0]), ALL, {"refs/heads/new": A})[1] == ()


def test_a_ref_that_a_new_pattern_brings_in_is_no_move() -> None:
    seen, moves = compare(SEEN, ALL, {"refs/heads/main": B, "refs/heads/old": C})
    assert moves == (MOVE,)
    assert seen == Seen(ALL, {"refs/heads/main": A, "refs/heads/old": C})


def test_a_deleted_ref_is_forgotten_and_its_return_is_a_move() -> None:
    seen, moves = compare(SEEN, MAIN, {})
    assert (seen, moves) == (Seen(MAIN, {}), ())
    assert compare(seen, MAIN, {"refs/heads/main": A})[1] == (Move("refs/heads/main", ZERO, A),)


def record(ref: str) -> PushRecord:
    return PushRecord("5-b", "o/r", "/r.git", (RefUpdate(A, C, ref),))


@pytest.mark.parametrize("status", ["running", "failed", "unchanged", "succeeded"])
def test_what_was_deployed_is_done_however_it_ended(status: str) -> None:
    assert judge(MOVE, 0.0, replace(ROW, status=status), []) == "done"  # type: ignore[arg-type]


@pytest.mark.parametrize("newest", [None, replace(ROW, commit_id=A), replace(ROW, commit_id=C)])
def test_the_hook_is_given_time(newest: Deployment | None) -> None:
    assert judge(MOVE, SETTLE - 0.1, newest, []) == "wait"
    assert judge(MOVE, SETTLE, newest, []) == "deploy"


def test_a_waiting_push_of_the_ref_is_waited_for() -> None:
    assert judge(MOVE, 1000.0, None, [record("refs/heads/main")]) == "wait"
    assert judge(MOVE, 1000.0, None, [record("refs/heads/other")]) == "deploy"
