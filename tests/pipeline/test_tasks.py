"""Tasks across attempts: what is on record decides what a step does, and what a step does is on record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gitdeploy.config import snapshot
from gitdeploy.config.jobs import Task
from gitdeploy.config.model import App
from gitdeploy.errors import Cancelled, EngineGone, GitdeployError, StageFailed
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline.lefttasks import LeftTasks
from gitdeploy.pipeline.plan import Running
from gitdeploy.pipeline.tasks import left_tasks, migrations_since, run_and_warn, run_task
from gitdeploy.pipeline.way import Way
from gitdeploy.releases.records import TaskRecord
from gitdeploy.releases.state import State
from gitdeploy.targets.errand import Errand, TaskEnd
from gitdeploy.targets.target import Target
from gitdeploy.terminal.redact import Redactor
from tests.support.recorder import Recorder

TASKS = {
    "unit": Task("after-build"),
    "migrate": Task("before-switch"),
    "again": Task("before-switch", retry=True),
    "warm": Task("after-switch", timeout=30.0),
}
SHOP = App("devops/shop", "r.example/shop", "shop", tasks=TASKS)


class Playing:
    """A target whose tasks end as the tests say."""

    def __init__(self) -> None:
        self.result: TaskEnd | GitdeployError | None = TaskEnd(0)
        self.during: Callable[[], object] = lambda: None
        self.errands: list[Errand] = []
        self.kept: list[Collection[tuple[int, str]]] = []

    def run_task(self, errand: Errand) -> TaskEnd | None:
        self.errands.append(errand)
        if errand.image and not errand.begun:
            errand.begin()
        self.during()
        if isinstance(self.result, GitdeployError):
            raise self.result
        return self.result

    def drop_tasks(self, app: App, keep: Collection[tuple[int, str]]) -> None:
        self.kept.append(keep)


class Scene:
    """A deployment that has come as far as its tasks."""

    def __init__(self, state: State) -> None:
        self.state, self.target, self.console = state, Playing(), Recorder()
        self.number = state.enqueue(SHOP.name, "2-b", trigger="push", created=1.0)
        self.stage = Running(self.console, CancelFlag())
        job = SimpleNamespace(deployment=self.number, app=SHOP)
        self.tools = SimpleNamespace(job=job, state=state, target=self.target, now=lambda: 50.0, proxies=dict)
        self.tools.console = SimpleNamespace(redact=Redactor())

    @property
    def way(self) -> Way:
        record: Callable[..., Any] = lambda **values: self.state.update(self.number, **values)  # noqa: E731
        image = SimpleNamespace(id="sha256:1", labels={})
        plain = SimpleNamespace(tools=self.tools, app=SHOP, image=image, await_step=lambda name: None, record=record)
        plain.require_plain_image, plain.recorded = lambda: None, self.state.deployment(self.number)
        return cast("Way", plain)

    def run(self, name: str, *, run: Callable[[str, Way, Running], None] = run_task) -> None:
        run(name, self.way, self.stage)

    def task(self, name: str, deployment: int = 0) -> tuple[float | None, int | None]:
        """When it ended, and its exit code, as recorded."""
        found = self.state.task(deployment or self.number, name)
        assert found
        return found.ended, found.exit_code


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with State(tmp_path / "state.db") as state:
        state.enqueue(SHOP.name, "1-a", trigger="push", created=1.0)
        state.update(1, config=snapshot.dump(SHOP), version="1.2.0")
        yield Scene(state)


def test_the_begin_is_on_record_while_it_runs_and_the_end_before_its_container_goes(scene: Scene) -> None:
    seen: list[object] = []
    scene.target.during = lambda: seen.append(scene.task("migrate"))
    scene.run("migrate")
    assert seen == [(None, None)]
    assert scene.task("migrate") == (50.0, 0)
    assert scene.target.kept == [set()]
    assert scene.stage.note == "exit code 0"


def test_one_that_finished_in_an_earlier_attempt_is_not_run_again(scene: Scene) -> None:
    scene.run("migrate")
    scene.run("migrate")
    assert len(scene.target.errands) == 1
    assert (scene.stage.skipped, scene.stage.note) == (True, "it has finished in an earlier attempt")


def test_one_that_failed_fails_its_deployment_and_the_next_attempt(scene: Scene) -> None:
    scene.target.result = TaskEnd(3, tail=("no table",))
    with pytest.raises(StageFailed, match="task migrate failed: exit code 3") as caught:
        scene.run("migrate")
    assert caught.value.tail == ("no table",)
    with pytest.raises(StageFailed, match="failed before the deployment was cut off: exit code 3"):
        scene.run("migrate")
    assert scene.task("migrate") == (50.0, 3)


def test_one_that_was_cut_off_is_gone_on_with(scene: Scene) -> None:
    scene.target.result = EngineGone("away")
    with pytest.raises(EngineGone):
        scene.run("migrate")
    assert scene.task("migrate") == (None, None)
    assert scene.target.kept == []
    scene.target.result = TaskEnd(0)
    scene.run("migrate")
    assert [errand.begun for errand in scene.target.errands] == [False, True]
    assert scene.task("migrate") == (50.0, 0)


def test_one_whose_end_nobody_knows_stops_the_deployment_and_not_the_next_one(scene: Scene) -> None:
    scene.state.begin_task(scene.number, "migrate", "before-switch", 10.0)
    scene.target.result = None
    for _ in range(2):
        with pytest.raises(
            StageFailed, match=r"task migrate of deployment 2 began at .* whether it finished is not known"
        ) as e:
            scene.run("migrate")
        assert "gitdeploy deploy devops/shop, which runs it anew" in e.value.hint
    assert len(scene.target.errands) == 1
    scene.state.enqueue(SHOP.name, "3-c", trigger="push", created=1.0)
    scene.tools.job.deployment = 3
    assert list(left_tasks(scene.way)) == []


def test_one_that_may_run_again_does_so_where_it_was_cut_off(scene: Scene) -> None:
    scene.state.begin_task(scene.number, "again", "before-switch", 10.0)
    scene.state.end_task(scene.number, "again", 20.0, None)
    scene.run("again")
    (errand,) = scene.target.errands
    assert (errand.begun, errand.task.retry) == (True, True)


@pytest.mark.parametrize(
    ("reason", "recorded"), [("request", (50.0, None)), ("newer push", (50.0, None)), ("stop", (None, None))]
)
def test_a_cancel_ends_it_and_a_stop_leaves_it_to_the_next_run(scene: Scene, reason: Any, recorded: object) -> None:
    scene.target.during = lambda: scene.stage.cancel.set(reason)
    scene.target.result = Cancelled("cancelled")
    with pytest.raises(Cancelled):
        scene.run("migrate")
    assert scene.task("migrate") == recorded
    assert scene.target.errands[0].leave() is (reason == "stop")


@pytest.mark.parametrize("result", [TaskEnd(3), StageFailed("task warm failed: exit code 3"), Cancelled("cancelled")])
def test_what_goes_wrong_behind_the_switch_is_told_and_fails_nothing(scene: Scene, result: Any) -> None:
    scene.target.during = lambda: scene.stage.cancel.set("request") if isinstance(result, Cancelled) else None
    scene.target.result = result
    scene.run("warm", run=run_and_warn)
    scene.run("warm", run=run_and_warn)
    row = scene.state.deployment(scene.number)
    assert row is not None
    assert scene.stage.warning in row.error
    assert row.error.count("warm") >= (0 if isinstance(result, Cancelled) else 2)


def test_behind_the_switch_a_stop_and_an_engine_that_is_away_are_for_the_next_run(scene: Scene) -> None:
    scene.target.result = EngineGone("away")
    with pytest.raises(EngineGone):
        scene.run("warm", run=run_and_warn)
    scene.stage.cancel.set("stop")
    scene.target.result = Cancelled("cancelled")
    with pytest.raises(Cancelled):
        scene.run("warm", run=run_and_warn)


def take_up(scene: Scene, name: str) -> None:
    scene.state.begin_task(1, name, TASKS[name].when, 10.0)
    (step,) = left_tasks(scene.way)
    step.run(scene.way, scene.stage)


def test_the_migration_of_a_deployment_that_was_superseded_is_waited_for(scene: Scene) -> None:
    take_up(scene, "migrate")
    (errand,) = scene.target.errands
    assert (errand.release, errand.image, errand.begun) == (1, "", True)
    assert scene.task("migrate", 1) == (50.0, 0)


def test_if_its_end_is_not_known_that_is_told_once(scene: Scene) -> None:
    scene.target.result = None
    with pytest.raises(StageFailed, match=r"task migrate of deployment 1 began at .* was cut off"):
        take_up(scene, "migrate")
    assert list(left_tasks(scene.way)) == []


def test_its_tests_are_stopped(scene: Scene) -> None:
    take_up(scene, "unit")
    assert scene.target.errands == []
    assert scene.target.kept == [set()]
    assert scene.task("unit", 1) == (50.0, None)


def left(scene: Scene) -> LeftTasks:
    return LeftTasks(scene.state, cast("Target", scene.target), scene.console, lambda: 50.0, CancelFlag())


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (TaskEnd(0), ""),
        (TaskEnd(2), "task warm failed: exit code 2"),
        (StageFailed("too slow"), "too slow"),
        (None, "whether it finished is not known"),
        (Cancelled("stopped"), ""),
    ],
)
def test_a_release_that_a_crash_left_serving_has_its_tasks_looked_after(scene: Scene, result: Any, error: str) -> None:
    scene.state.begin_task(1, "warm", "after-switch", 10.0)
    scene.target.result = result
    left(scene).end(1, SHOP, serves=True)
    row = scene.state.deployment(1)
    assert row is not None
    assert error in row.error
    assert bool(error) == bool(row.error)
    assert scene.target.errands[0].task.timeout == 30.0
    assert scene.task("warm", 1)[0] == (None if isinstance(result, Cancelled) else 50.0)


def test_tasks_that_a_crash_kept_from_running_are_named(scene: Scene) -> None:
    left(scene).end(1, SHOP, serves=True)
    row = scene.state.deployment(1)
    assert row is not None
    assert row.error == "task warm was not run: gitdeploy was interrupted behind the switch"


def test_those_of_a_deployment_that_was_undone_are_stopped(scene: Scene) -> None:
    scene.state.begin_task(1, "migrate", "before-switch", 10.0)
    scene.state.begin_task(2, "migrate", "before-switch", 10.0)
    left(scene).end(1, SHOP, serves=False)
    assert scene.target.errands == []
    assert scene.target.kept == [{(2, "migrate")}]


def record(deployment: int, exit_code: int | None = 0) -> TaskRecord:
    return TaskRecord(deployment, "migrate", "before-switch", 1.0, 2.0, exit_code)


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ([], ""),
        ([record(12)], "migrations that ran since: migrate (1.3.0, deployment 12)"),
        (
            [record(11, None), record(12, 1)],
            "migrations that ran since: migrate (?, deployment 11, cut off), migrate (1.3.0, deployment 12, failed)",
        ),
    ],
)
def test_a_rollback_names_the_migrations_that_ran_since(records: list[TaskRecord], text: str) -> None:
    assert migrations_since(records, {12: "1.3.0"}) == text


def test_a_rollback_names_the_newest_of_many() -> None:
    text = migrations_since([record(number) for number in range(1, 9)], {})
    assert text.endswith("migrate (?, deployment 8) and 3 more")
    assert "deployment 3)" not in text
