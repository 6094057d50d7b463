"""A stop (SIGTERM) in the middle of a deployment: the old release serves, the push is kept, and the next run deploys it."""

from __future__ import annotations

import subprocess

import pytest

from gitdeploy.worker.attempt import MAX_ATTEMPTS
from gitdeploy.worker.supervisor import STOPPED
from tests.faults.conftest import MakeTiny, Tiny
from tests.faults.faulty import Point
from tests.faults.test_crash import Trial
from tests.support.summary import Summary

POINTS = [
    Point("engine.build", 1, "during"),
    Point("engine.stop", 1, "after"),
    Point("state.update", 2, "after"),
    Point("engine.create", 1, "before"),
    Point("engine.start", 1, "after"),
]
SAMPLE = 2
"""Points of a run without --exhaustive."""
TOO_LATE = Point("state.end", 1, "before")


def stopped(tiny: Tiny, version: str, point: Point) -> str:
    """Pushes a version and stops the worker at the point; returns what the pusher saw."""
    tiny.kill_at(point, "stop")
    push = tiny.push(version)
    assert tiny.fired.exists()
    tiny.kill_no_more()
    assert push.code == 0
    return push.text


@pytest.mark.timeout(120)
def test_a_stop_keeps_the_push_and_the_old_release(make_tiny: MakeTiny, summary: Summary, pytestconfig: pytest.Config) -> None:
    tiny = make_tiny()
    assert "0 is live" in tiny.push("0").text
    row = summary.row("stop of the worker, recreate")
    row.known += len(POINTS)
    chosen = POINTS if pytestconfig.getoption("--exhaustive") else POINTS[:SAMPLE]
    for number, point in enumerate(chosen, 1):
        row.tried += 1
        text = stopped(tiny, str(number), point)
        assert "the worker was stopped. The push is recorded, and deployed as soon as one runs." in text, (point, text)
        assert "is live" not in text
        assert tiny.get() == str(number - 1), (point, text)
        assert len(list((tiny.site.home / "spool").glob("*.push"))) == 1
        tiny.site.run("worker", "--once")
        trial = Trial(tiny, routed=False, replicas=1)
        trial.check(str(number))
        assert not trial.wrong, point
        row.held += 1


def test_a_stop_that_comes_too_late_changes_nothing(make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    assert "1 is live" in stopped(tiny, "1", TOO_LATE)
    trial = Trial(tiny, routed=False, replicas=1)
    trial.check("1")
    assert not trial.wrong


def test_a_newer_push_takes_the_place_of_one_that_a_stop_left(make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    stopped(tiny, "1", Point("engine.create", 1, "before"))
    assert "2 is live" in tiny.push("2").text
    trial = Trial(tiny, routed=False, replicas=1)
    trial.check("2")
    assert not trial.wrong
    assert [d["status"] for d in tiny.site.history(tiny.name)] == ["succeeded", "superseded"]


def test_many_stops_give_no_push_up(make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    point = Point("engine.create", 1, "before")
    stopped(tiny, "1", point)
    for _ in range(MAX_ATTEMPTS + 1):
        tiny.kill_at(point, "stop")
        worker = [tiny.site.home / "bin" / "gitdeploy", "worker", "--once"]
        done = subprocess.run(worker, start_new_session=True, timeout=60, check=False)  # the stop is for its whole group
        assert tiny.fired.exists()
        assert done.returncode == STOPPED
    tiny.kill_no_more()
    tiny.site.run("worker", "--once")
    assert tiny.get() == "1"
    assert [d["status"] for d in tiny.site.history(tiny.name)] == ["succeeded"]
