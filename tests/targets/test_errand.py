"""What an attempt does about a task that an earlier one may have begun, and how the end of one is told."""

from __future__ import annotations

import pytest

from gitdeploy.targets.errand import Move, TaskEnd, next_move


@pytest.mark.parametrize(
    ("state", "exit_code", "begun", "retry", "move"),
    [
        ("", 0, False, False, "run"),
        ("", 0, True, False, "unknown"),
        ("", 0, True, True, "run"),
        ("removing", 0, True, False, "unknown"),
        ("created", 0, False, False, "start"),
        ("created", 0, True, False, "unknown"),  # an engine that was killed may have forgotten that it started it
        ("created", 0, True, True, "run"),
        ("running", 0, False, False, "follow"),
        ("running", 0, True, True, "follow"),
        ("paused", 0, True, False, "follow"),
        ("exited", 0, True, False, "read"),
        ("exited", 0, True, True, "read"),
        ("exited", 3, True, False, "read"),
        ("exited", 3, True, True, "read"),  # it failed by itself: that is no crash
        ("exited", 255, True, False, "read"),
        ("exited", 255, True, True, "run"),
        ("exited", 137, True, True, "run"),
        ("dead", 143, True, True, "run"),
    ],
)
def test_what_is_done_about_a_task(state: str, exit_code: int, begun: bool, retry: bool, move: Move) -> None:
    assert next_move(state, exit_code, begun=begun, retry=retry, may_start=True) == move


@pytest.mark.parametrize("retry", [False, True])
@pytest.mark.parametrize(
    ("state", "exit_code", "move"),
    [("", 0, "unknown"), ("created", 0, "unknown"), ("running", 0, "follow"), ("exited", 0, "read"), ("exited", 137, "read")],
)
def test_nothing_is_started_for_a_deployment_that_is_over(state: str, exit_code: int, retry: bool, move: Move) -> None:
    assert next_move(state, exit_code, begun=True, retry=retry, may_start=False) == move


@pytest.mark.parametrize(
    ("end", "words", "hint"),
    [
        (TaskEnd(0), "exit code 0", ""),
        (TaskEnd(3), "exit code 3", "what it said is above"),
        (TaskEnd(139), "exit code 139, which is SIGSEGV", "what it said is above"),
        (TaskEnd(255), "exit code 255", "what it said is above"),
        (TaskEnd(137, out_of_memory=True), "killed for using too much memory", "raise memory"),
        (TaskEnd(127), "exit code 127", "is that program in the image"),
        (TaskEnd(127, problem="nope: no such program"), "it could not be started: nope: no such program", "is that program"),
    ],
)
def test_how_it_ended_is_told(end: TaskEnd, words: str, hint: str) -> None:
    assert end.words == words
    assert hint in end.hint
