"""Whether a service's tasks serve: what the cluster says of them, and how long it is waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from gitdeploy.engine.cluster import Cluster, Node, ServiceTask
from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.targets.swarm.readiness import PULL, TaskProgress, TaskWaiter, describe, progress

NODES = [Node("n1", "box1", manager=True), Node("n2", "box2"), Node("n3", "box3", state="down")]


def task(slot: int, state: str = "running", node: str = "n1", wanted: str = "running", **more: object) -> ServiceTask:
    made = ServiceTask(f"t{slot}-{node}-{state}", "s", slot, node, state, wanted)
    return replace(made, **more)  # type: ignore[arg-type]


REFUSED = "No such image: r/shop:1"
NOWHERE = "no suitable node (scheduling constraints not satisfied on 2 nodes)"


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([], TaskProgress(0)),
        ([task(1), task(2, node="n2")], TaskProgress(2)),
        ([task(1), task(2, node="n3")], TaskProgress(1)),  # it says so still, and its machine is dead
        ([task(1), task(2, node="gone")], TaskProgress(1)),
        ([task(1), task(1, node="n2", wanted="shutdown")], TaskProgress(1)),
        (
            [task(1, "preparing")],
            TaskProgress(0, pulling=True, waits="task 1 on box1 is preparing"),
        ),
        ([task(1, "starting")], TaskProgress(0, waits="task 1 on box1 is starting")),
        ([task(1, "pending", node="", error=NOWHERE)], TaskProgress(0, waits=f"task 1 is pending: {NOWHERE}")),
        (
            [task(1, "failed", wanted="shutdown", exit_code=3, error="task: non-zero exit (3)"), task(1, "ready", id="t9")],
            TaskProgress(0, failed="task 1 on box1 failed: task: non-zero exit (3)", waits="task 1 on box1 is ready"),
        ),
        ([task(1, "complete", wanted="shutdown")], TaskProgress(0, failed="task 1 on box1 ended")),
        (
            [task(1, "rejected", "n2", "shutdown", error=REFUSED), task(1)],  # one engine was busy
            TaskProgress(1, waits=f"task 1 on box2 was refused: {REFUSED}"),
        ),
        (
            [task(1, "rejected", "n2", "shutdown", error=REFUSED, id=f"t{n}") for n in range(3)],
            TaskProgress(0, failed=f"task 1 on box2 was refused: {REFUSED}", waits=f"task 1 on box2 was refused: {REFUSED}"),
        ),
        (
            [task(2, "rejected", "n2", "shutdown", error=REFUSED), task(1), task(2)],  # both on box1 now
            TaskProgress(2, failed=f"task 2 on box2 was refused: {REFUSED}", waits=f"task 2 on box2 was refused: {REFUSED}"),
        ),
        (
            [task(2, "rejected", "n2", "shutdown", error=REFUSED), task(1), task(2, node="n2")],  # it took it in the end
            TaskProgress(2, waits=f"task 2 on box2 was refused: {REFUSED}"),
        ),
    ],
)
def test_progress(tasks: list[ServiceTask], expected: TaskProgress) -> None:
    assert progress(tasks, NODES) == expected


def test_what_had_failed_before_is_not_held_against_it() -> None:
    old = [
        task(1, "failed", wanted="shutdown", id="old"),
        *(task(1, "rejected", "n2", "shutdown", id=f"o{n}") for n in range(3)),
    ]
    assert progress([*old, task(1)], NODES, {one.id for one in old}) == TaskProgress(1)
    assert progress([*old, task(1)], NODES, {one.id for one in old[1:]}).failed == "task 1 on box1 failed"


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (task(1, "failed", exit_code=137), "task 1 on box1 failed (exit code 137)"),
        (task(1, "failed", exit_code=137, error="non-zero exit (137)"), "task 1 on box1 failed: non-zero exit (137)"),
        (task(2, "pending", node=""), "task 2 is pending"),
    ],
)
def test_what_a_task_does_in_words(one: ServiceTask, text: str) -> None:
    assert describe(one, {node.id: node for node in NODES}) == text


@dataclass
class Played:
    """A cluster in which a service's tasks change as time passes; one second goes by at each look, and no real one."""

    tasks_at: Callable[[float], Sequence[ServiceTask]]
    log: list[str] = field(default_factory=list)
    cancel_at: float = 1e9
    now: float = 0.0
    told: list[str] = field(default_factory=list)

    def tasks(self, services: Sequence[str]) -> Sequence[ServiceTask]:
        assert list(services) == ["s"]
        return self.tasks_at(self.now)

    def nodes(self) -> list[Node]:
        return NODES

    def service_logs(self, service: str, tail: int) -> list[str]:
        return self.log

    def sleep(self, seconds: float) -> bool:
        self.now += 1.0
        return self.now >= self.cancel_at

    @property
    def waiter(self) -> TaskWaiter:
        return TaskWaiter(cast(Cluster, self), self.sleep, lambda: self.now, self.told.append)


def healthy_from(second: float) -> Callable[[float], Sequence[ServiceTask]]:
    return lambda now: [task(1, "running" if now >= second else "starting")]


def test_it_has_to_serve_for_a_while() -> None:
    played = Played(healthy_from(4))
    played.waiter.wait("s", 1, 30, steady=3)
    assert played.now == 7


def test_what_serves_for_a_moment_begins_anew() -> None:
    played = Played(lambda now: [task(1, "starting" if now == 2 else "running")])
    played.waiter.wait("s", 1, 30, steady=4)
    assert played.now == 3 + 4


def test_patience_ends() -> None:
    played = Played(healthy_from(100), log=["box1: no database"])
    with pytest.raises(StageFailed) as caught:
        played.waiter.wait("s", 1, 10, steady=1)
    assert caught.value.reason.startswith(
        "the new release was not healthy after 12 s: 0 of 1 tasks run; task 1 on box1 is starting"
    )
    assert list(caught.value.tail) == ["log: box1: no database"]
    assert played.told[0] == "waiting for the new release, for 5 s so far (0 of 1 tasks run; task 1 on box1 is starting)"


def test_pulling_takes_no_patience() -> None:
    played = Played(lambda now: [task(1, "preparing" if now < 300 else "running")])
    played.waiter.wait("s", 1, 10, steady=1)
    assert played.now == 301


def test_pulling_for_ever_does() -> None:
    played = Played(lambda now: [task(1, "preparing")])
    with pytest.raises(StageFailed):
        played.waiter.wait("s", 1, 10)
    assert PULL < played.now < PULL + 20


def test_a_failure_is_not_waited_out() -> None:
    played = Played(lambda now: [task(1, "failed" if now >= 2 else "running", wanted="shutdown" if now >= 2 else "running")])
    with pytest.raises(StageFailed, match="task 1 on box1 failed"):
        played.waiter.wait("s", 1, 100, steady=10)
    assert played.now == 2


def test_what_the_router_does_not_reach_does_not_serve() -> None:
    played = Played(healthy_from(0))
    with pytest.raises(StageFailed, match="the router reaches 0 of 1"):
        played.waiter.wait("s", 1, 5, reached=lambda: 0)
    played = Played(healthy_from(0))
    played.waiter.wait("s", 1, 5, reached=lambda: int(played.now >= 3))
    assert played.now == 4


def test_the_router_is_not_asked_before_tasks_run() -> None:
    played = Played(healthy_from(3))
    asked: list[float] = []
    played.waiter.wait("s", 1, 9, reached=lambda: asked.append(played.now) or 1)  # type: ignore[func-returns-value]
    assert min(asked) == 3


def test_a_cancel_ends_it() -> None:
    played = Played(healthy_from(100), cancel_at=3)
    with pytest.raises(Cancelled):
        played.waiter.wait("s", 1, 50)
    assert played.now == 3


def test_the_end_of_tasks_on_dead_machines_is_not_waited_for() -> None:
    played = Played(lambda now: [task(1, "running" if now < 4 else "shutdown", wanted="shutdown"), task(2, node="n3")])
    played.waiter.await_end("s", 30)
    assert played.now == 4


def test_the_end_of_tasks_has_a_deadline() -> None:
    played = Played(lambda now: [task(1, wanted="shutdown")])
    with pytest.raises(StageFailed, match="1 tasks of the old release did not end within 30 s"):
        played.waiter.await_end("s", 30)
