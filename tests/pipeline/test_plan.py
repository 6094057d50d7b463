"""A plan is walked in order, on record before and after each step, and nothing of it waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gitdeploy.config.jobs import Task
from gitdeploy.config.model import App
from gitdeploy.config.sections import RequireSigned
from gitdeploy.errors import Cancelled, NothingToDo, StageFailed
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline.deployment import plan
from gitdeploy.pipeline.plan import Deadline, Running, Step, Walk, follow
from gitdeploy.pipeline.tools import Tools
from gitdeploy.pipeline.way import Way
from gitdeploy.releases.state import State
from tests.support.recorder import Recorder

DEV_APP = App("devops/dev-app", "r.example/dev-app", "dev-app")


class Played(SimpleNamespace):
    """As much of `Tools` as a walk uses."""

    state: State
    cancel: CancelFlag
    console: Recorder

    def stages(self) -> list[tuple[str, str]]:
        """Name and status of each step on record."""
        return [(stage.name, stage.status) for stage in self.state.stages(self.job.deployment)]


class Edgeless:
    """An edge that has something to do for apps with domains."""

    def concerns(self, app: App) -> bool:
        return bool(app.domains)


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Played]:
    """Tools with a state.db, and a clock that stands still."""
    with State(tmp_path / "state.db") as state:
        number = state.enqueue("devops/dev-app", "1-a", trigger="push", created=1.0)
        job = SimpleNamespace(deployment=number)
        yield Played(
            state=state, cancel=CancelFlag(), console=Recorder(), job=job, edge=Edgeless(), now=lambda: 2.0, clock=lambda: 3.0
        )


def walk(tools: Played, *steps: Step[Walk]) -> None:
    follow(steps, Walk(cast("Tools", tools)))


def step(name: str, run: Callable[[Walk, Running], Any] = lambda way, stage: None, **more: Any) -> Step[Walk]:
    return Step(name, run, **more)


def fail(error: Exception) -> Callable[[Walk, Running], None]:
    def run(way: Walk, stage: Running) -> None:
        raise error

    return run


def steps(tools: Played, app: App, found: App | None = None, release: int = 0) -> list[str]:
    """The names of an app's steps; `found` is the app with what the tree says."""
    tools.job.app, tools.job.release = app, release
    return [step.name for step in plan(cast("Way", SimpleNamespace(tools=tools, app=found or app)))]


def test_the_steps_of_an_app_follow_from_its_configuration(tools: Played) -> None:
    assert steps(tools, DEV_APP) == ["Checkout", "Read VERSION", "Build", "Push", "Deploy"]
    careful = App("a/b", "r/b", "b", require_signed=RequireSigned(keyring=Path("/keys")), verify=("trivy",))
    assert steps(tools, careful) == ["Verify signature", "Checkout", "Read VERSION", "Build", "Push", "Verify", "Deploy"]
    assert steps(tools, careful, release=1) == ["Find release", "Deploy"]
    named = replace(DEV_APP, domains=("shop.example.com",))
    assert steps(tools, named)[-2:] == ["Deploy", "Routes"]
    assert steps(tools, named, release=1) == ["Find release", "Deploy", "Routes"]


def test_tasks_of_the_tree_have_their_places_and_none_runs_before_the_image_was_judged(tools: Played) -> None:
    found = replace(
        DEV_APP,
        tasks={
            "warm": Task("after-switch"),
            "unit": Task("after-build"),
            "migrate": Task("before-switch"),
            "lint": Task("after-build"),
            "seed": Task("before-switch"),
        },
    )
    made, after = ["Checkout", "Read VERSION", "Build"], ["Task migrate", "Task seed", "Deploy", "Task warm"]
    tests = ["Task unit", "Task lint"]
    assert steps(tools, DEV_APP, found) == [*made, *tests, "Push", *after]
    judged = replace(DEV_APP, verify=("trivy",))
    assert steps(tools, judged, replace(found, verify=("other",))) == [*made, "Verify", *tests, "Push", *after]
    untested = replace(found, tasks={name: task for name, task in found.tasks.items() if task.when != "after-build"})
    assert steps(tools, judged, untested) == [*made, "Push", "Verify", *after]
    assert steps(tools, judged, found, release=1) == ["Find release", "Deploy"]


def test_a_task_that_another_deployment_left_comes_before_all_that_runs(tools: Played) -> None:
    other = tools.state.enqueue("devops/dev-app", "2-b", trigger="push", created=1.0)
    for number in (tools.job.deployment, other):
        tools.state.begin_task(number, "migrate", "before-switch", 1.0)
    left = f"Task migrate of deployment {other}"
    assert steps(tools, DEV_APP) == ["Checkout", "Read VERSION", "Build", left, "Push", "Deploy"]
    assert steps(tools, DEV_APP, release=1) == ["Find release", left, "Deploy"]
    assert steps(tools, replace(DEV_APP, name="devops/other"), release=1) == ["Find release", "Deploy"]


def test_a_step_is_asked_for_when_those_before_it_are_done(tools: Played) -> None:
    done: list[str] = []

    def lazily() -> Iterator[Step[Walk]]:
        yield step("One", lambda way, stage: done.append("One"))
        yield step(f"Two after {done}")

    follow(lazily(), Walk(cast("Tools", tools)))
    assert tools.stages() == [("One", "succeeded"), ("Two after ['One']", "succeeded")]


def test_what_only_warns_is_told_and_the_walk_goes_on(tools: Played) -> None:
    def warn(way: Walk, stage: Running) -> None:
        stage.warning = "it failed"

    walk(tools, step("One", warn), step("Two"))
    assert tools.stages() == [("One", "failed"), ("Two", "succeeded")]
    assert "    warning: it failed" in tools.console.lines


def test_each_step_is_on_record_before_it_runs_and_when_it_has_ended(tools: Played) -> None:
    seen = []

    def look(way: Walk, stage: Running) -> None:
        seen.append(tools.stages())
        stage.note = "seen"

    walk(tools, step("One", look), step("Two", look))
    assert seen == [[("One", "running")], [("One", "succeeded"), ("Two", "running")]]
    assert tools.stages() == [("One", "succeeded"), ("Two", "succeeded")]
    assert tools.console.lines == ["==> One", "    One: 0.0 s, seen", "==> Two", "    Two: 0.0 s, seen"]


def test_a_failed_step_ends_the_walk_and_gives_its_name_to_the_error(tools: Played) -> None:
    with pytest.raises(StageFailed) as caught:
        walk(tools, step("One"), step("Two", fail(StageFailed("no"))), step("Three"))
    assert caught.value.stage == "Two"
    assert tools.stages() == [("One", "succeeded"), ("Two", "failed")]


def test_a_step_that_finds_nothing_to_do_is_skipped(tools: Played) -> None:
    with pytest.raises(NothingToDo):
        walk(tools, step("One", fail(NothingToDo("skip"))), step("Two"))
    assert tools.stages() == [("One", "skipped")]


def test_a_step_beside_is_told_first_and_runs_while_the_next_ones_do(tools: Played) -> None:
    met = threading.Barrier(2, timeout=10)
    walk(tools, step("Push", lambda way, stage: met.wait(), beside=True), step("Deploy", lambda way, stage: met.wait()))
    assert tools.console.lines[:2] == ["==> Push", "==> Deploy"]
    assert tools.stages() == [("Push", "succeeded"), ("Deploy", "succeeded")]


def test_who_waits_for_a_step_beside_gets_what_it_raised(tools: Played) -> None:
    with pytest.raises(StageFailed) as caught:
        walk(
            tools, step("Push", fail(StageFailed("denied")), beside=True), step("Deploy", lambda way, _: way.await_step("Push"))
        )
    assert (caught.value.reason, caught.value.stage) == ("denied", "Push")
    assert tools.stages() == [("Push", "failed"), ("Deploy", "failed")]


def test_a_step_beside_that_nobody_waited_for_fails_the_walk_too(tools: Played) -> None:
    with pytest.raises(StageFailed):
        walk(tools, step("Push", fail(StageFailed("denied")), beside=True), step("Deploy"))


def test_a_failure_stops_what_runs_beside_it(tools: Played) -> None:
    stopped = []
    with pytest.raises(StageFailed):
        walk(
            tools,
            step("Push", lambda way, stage: stopped.append(stage.cancel.wait(10)), beside=True),
            step("Deploy", fail(StageFailed("unhealthy"))),
        )
    assert stopped == [True]


def wait_cancelled(way: Walk, stage: Running) -> None:
    assert stage.cancel.wait(10)
    raise Cancelled("cancelled while waiting")


def test_a_deadline_cancels_the_step_and_is_its_failure(tools: Played) -> None:
    short = step("Push", wait_cancelled, deadline=lambda way: Deadline(0.05, "push.timeout", "raise push.timeout"))
    with pytest.raises(StageFailed, match=r"Push took longer than 0 s \(push\.timeout\)") as caught:
        walk(tools, short)
    assert caught.value.hint == "raise push.timeout"


def test_a_cancel_is_no_deadline(tools: Played) -> None:
    tools.cancel.set("request")
    with pytest.raises(Cancelled):
        walk(tools, step("Push", wait_cancelled, deadline=lambda way: Deadline(60.0, "", "")))
