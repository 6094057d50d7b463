"""Push records and the choice among waiting pushes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.intake.choice import choose, deployable, full_patterns
from gitdeploy.intake.push import BadRecordError, PushRecord, RefUpdate, parse_record, render_record

A, B, C = ("a" * 40, "b" * 40, "c" * 40)
ZERO = "0" * 40
MAIN = ("refs/heads/main",)


def record(name: str = "100-aa", new: str = B, ref: str = "refs/heads/main", **more: object) -> PushRecord:
    return PushRecord(name=name, app="o/r", repo="/r.git", refs=(RefUpdate(A, new, ref),), **more)  # type: ignore[arg-type]


def text(*lines: str) -> bytes:
    return ("\n".join(["gitdeploy-push 1", *lines, "end", ""])).encode()


def test_reads_what_the_hook_writes() -> None:
    data = text(
        "app Devops/Dev-App",
        "repo /data/git/gogs-repositories/devops/dev-app.git",
        "user alice",
        "repo-id 12",
        "console 100-aa.console",
        "option gitdeploy.no-cache",
        "option with  two blanks ",
        f"ref {A} {B} refs/heads/main",
        f"ref {ZERO} {C} refs/tags/v1",
    )
    assert parse_record("100-aa", data) == PushRecord(
        name="100-aa",
        app="devops/dev-app",
        repo="/data/git/gogs-repositories/devops/dev-app.git",
        user="alice",
        console="100-aa.console",
        options=("gitdeploy.no-cache", "with  two blanks "),
        refs=(RefUpdate(A, B, "refs/heads/main"), RefUpdate(ZERO, C, "refs/tags/v1")),
    )


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("100-aa", b"", "expected 'gitdeploy-push 1'"),
        ("100-aa", b"gitdeploy-push 2\nend\n", "found 'gitdeploy-push 2'"),
        ("100-aa", b"gitdeploy-push 1\napp o/r\n", "incomplete"),
        ("100-aa", b"gitdeploy-push 1\napp o/r\nend", "incomplete"),
        ("100-aa", text("repo /r"), "expected 'app owner/repo'"),
        ("100-aa", text("app ../../etc"), "expected 'app owner/repo'"),
        ("100-aa", text("app o/.."), "expected 'app owner/repo'"),
        ("100-aa", text("app o/r", "ref x y refs/heads/main"), "expected 'ref OLD NEW refs/"),
        ("100-aa", text("app o/r", f"ref {A} {B} main"), "expected 'ref OLD NEW refs/"),
        ("100-aa", text("app o/r", "console ../../etc/passwd"), "expected console 100-aa.console"),
        ("100-aa", text("app o/r", "trigger shell"), "expected trigger"),
        ("100-aa", text("app o/r", "release -1"), "expected a number"),
        ("../x", text("app o/r"), "is not SECONDS-RANDOM"),
        ("100-aa", b"gitdeploy-push 1\n\xff\xfe\0\nend\n", "expected 'app owner/repo'"),
    ],
)
def test_refuses_what_is_no_record(name: str, data: bytes, said: str) -> None:
    with pytest.raises(BadRecordError, match=said):
        parse_record(name, data)


@given(st.binary())
def test_any_bytes_are_a_record_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadRecordError):
        parse_record("1-a", b"gitdeploy-push 1\napp o/r\n" + data + b"\nend\n")


@pytest.mark.parametrize("trigger", ["deploy", "rollback", "push"])
def test_records_survive_writing_and_reading(trigger: str) -> None:
    original = record(user="bob", console="100-aa.console", options=("x",), trigger=trigger, release=7)
    assert parse_record(original.name, render_record(original)) == original


def test_control_characters_in_fields_are_shown_harmless() -> None:
    assert parse_record("1-a", text("app o/r", "user ev\x1b[31mil\r")).user == "ev?[31mil?"


@pytest.mark.parametrize(
    ("ref", "branch", "matches"),
    [
        ("refs/heads/main", ("main",), True),
        ("refs/heads/main2", ("main",), False),
        ("refs/heads/release/1", ("release/*",), True),
        ("refs/tags/v1", ("refs/tags/v*",), True),
        ("refs/tags/main", ("main",), False),
        ("refs/heads/mai[n]", ("mai[n]",), False),
    ],
)
def test_ref_patterns(ref: str, branch: tuple[str, ...], matches: bool) -> None:
    assert (deployable(record(ref=ref), full_patterns(branch)) is not None) is matches


def test_a_deleted_ref_deploys_nothing() -> None:
    assert deployable(record(new=ZERO), MAIN) is None


def test_the_last_matching_ref_of_a_push_counts() -> None:
    push = PushRecord("1-a", "o/r", "/r", tuple(RefUpdate(A, B, f"refs/heads/x{i}") for i in range(10)))
    found = deployable(push, full_patterns(("x*",)))
    assert found is not None
    assert found.name == "refs/heads/x9"


def test_the_tip_is_deployed_and_older_pushes_are_superseded() -> None:
    old, new = record("100-zz", B), record("100-aa", C)  # one second: the names are no order
    choice = choose([old, new], MAIN, lambda ref: C, lambda commit: True)
    assert (choice.record, choice.commit, choice.superseded) == (new, C, (old,))


def test_a_tip_that_no_record_names_yet_is_deployed_for_the_newest() -> None:
    choice = choose([record("100-a", A), record("101-b", B)], MAIN, lambda ref: C, lambda commit: True)
    assert choice.record is not None
    assert (choice.record.name, choice.commit) == ("101-b", C)


def test_a_force_push_back_deploys_the_old_commit() -> None:
    records = [record("100-a", B), record("101-b", C), record("102-c", B)]
    choice = choose(records, MAIN, lambda ref: B, lambda commit: True)
    assert (choice.record, choice.commit) == (records[2], B)


def test_what_is_not_in_the_repository_is_dropped() -> None:
    choice = choose([record()], MAIN, lambda ref: A, lambda commit: False)
    assert choice.record is None
    assert "wiki" in choice.dropped["100-aa"]


def test_a_ref_that_is_gone_is_dropped() -> None:
    choice = choose([record()], MAIN, lambda ref: None, lambda commit: True)
    assert choice.record is None
    assert "deleted" in choice.dropped["100-aa"]


def test_deploy_by_hand_takes_the_commit_that_was_named() -> None:
    by_hand = record("101-b", B, "refs/heads/other", trigger="deploy")
    choice = choose([record("100-a", C), by_hand], MAIN, lambda ref: C, lambda commit: True)
    assert (choice.record, choice.commit) == (by_hand, B)


def test_a_push_that_is_nothing_to_the_app_is_dropped_with_those_before_it() -> None:
    choice = choose([record("100-a", B), record("101-b", C)], MAIN, lambda ref: C, lambda commit: True, {C: "why"}.__getitem__)
    assert (choice.record, choice.dropped) == (None, {"100-a": "why", "101-b": "why"})
    assert choice.unconcerned == {"refs/heads/main": C}


def test_a_push_of_another_branch_is_judged_by_itself() -> None:
    tips = {"refs/heads/main": B, "refs/heads/release": C}
    records = [record("100-a", B), record("101-b", C, "refs/heads/release")]
    choice = choose(records, ("refs/heads/*",), tips.get, lambda commit: True, {B: "", C: "why"}.__getitem__)
    assert (choice.record, choice.commit, choice.dropped) == (records[0], B, {"101-b": "why"})
    assert choice.unconcerned == {"refs/heads/release": C}


def test_what_was_asked_for_by_hand_concerns_the_app_in_any_case() -> None:
    by_hand = record("100-a", B, "refs/heads/other", trigger="deploy")
    choice = choose([by_hand, record("101-b", C)], MAIN, lambda ref: C, lambda commit: True, lambda commit: "why")
    assert (choice.record, choice.commit, choice.dropped) == (by_hand, B, {"101-b": "why"})
    assert choose([by_hand], MAIN, lambda ref: C, lambda commit: True, lambda commit: "why").record is by_hand


def test_a_rollback_needs_no_ref() -> None:
    back = PushRecord("102-b", "o/r", "/r", (), trigger="rollback", release=3)
    choice = choose([record("100-a", C), back], MAIN, lambda ref: C, lambda commit: True)
    assert choice.record is back
    assert [r.name for r in choice.superseded] == ["100-a"]


@pytest.mark.parametrize(
    ("refs", "said"),
    [
        ([("1" * 40, "refs/heads/dev")], "refs/heads/dev was pushed,"),
        (
            [("0" * 40, "refs/heads/main")],
            "refs/heads/main was deleted,",
        ),
        (
            [("1" * 40, f"refs/tags/v{number}") for number in range(7)],
            "refs/tags/v0, refs/tags/v1, refs/tags/v2, refs/tags/v3, refs/tags/v4 and 2 more was pushed,",
        ),
    ],
)
def test_a_push_that_is_not_deployed_says_what_was_and_what_is(refs: list[tuple[str, str]], said: str) -> None:
    record = PushRecord("1-a", "devops/dev-app", "", tuple(RefUpdate("2" * 40, new, name) for new, name in refs))
    choice = choose([record], ["refs/heads/main"], lambda ref: None, lambda commit: True)
    assert choice.dropped == {"1-a": f"{said} and refs/heads/main is deployed (branch in config.toml)"}
