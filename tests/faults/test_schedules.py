"""kill -9 of what looks after a run of a schedule, at every effect: it runs once, and where nobody knows, not again."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.releases.state import State
from tests.faults.conftest import MakeTiny
from tests.faults.faulty import Point

COMMAND = '["sh", "-c", "echo $$ >>/data/ran; echo it said this; sleep 0.3"]'

# Each with what is known of the run afterwards: "succeeded", or that it was cut off where its start may have been asked for.
MOMENTS = {
    Point("state.place_run", 1, "after"): "succeeded",
    Point("engine.create", 1, "before"): "succeeded",
    Point("engine.create", 1, "after"): "succeeded",
    Point("state.begin_run", 1, "before"): "succeeded",
    Point("state.begin_run", 1, "after"): "failed",
    Point("engine.attend", 1, "before"): "failed",
    Point("engine.container", 2, "before"): "succeeded",
    Point("state.end_run", 1, "before"): "succeeded",
    Point("state.end_run", 1, "after"): "succeeded",
    Point("engine.remove", 1, "before"): "succeeded",
}


def test_a_run_comes_once_whenever_its_process_is_killed(
    make_tiny: MakeTiny, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    data = tmp_path / "volume"
    data.mkdir()
    tiny = make_tiny(f'volumes = ["{data}:/data"]\n')
    tiny.site.configure(f'\n[apps."{tiny.name}".schedule.job]\ncron = "0 0 1 1 *"\ncommand = {COMMAND}\n')
    assert "1 is live" in tiny.push("1").text
    ran = data / "ran"
    ran.touch()
    wrong = []
    chosen = list(MOMENTS.items())[:: 1 if pytestconfig.getoption("--exhaustive") else 2]
    for number, (point, expected) in enumerate(chosen, 1):
        before = len(ran.read_text().splitlines())
        with State(tiny.site.home / "state.db") as state:
            assert state.add_run(tiny.name, "job", float(number), "command") == number
        tiny.kill_at(point, "child")
        tiny.site.run("schedule", "--run", str(number), check=None)
        fired = tiny.fired.exists()
        tiny.kill_no_more()
        tiny.site.run("schedule", "--run", str(number))
        with State(tiny.site.home / "state.db") as state:
            run = state.run(number)
        assert run
        times = len(ran.read_text().splitlines()) - before
        right = fired and run.status == expected and times == (1 if expected == "succeeded" else 0)
        if not right or (expected == "failed" and "it was cut off" not in run.error):
            wrong.append(f"{point}: fired {fired}, {run.status} {run.error}, ran {times} times")
    assert wrong == []
    with State(tiny.site.home / "state.db") as state:
        number = state.add_run(tiny.name, "job", 100.0, "command")
    tiny.site.run("schedule", "--run", str(number))  # clears away what the others have left
    assert [name for name in tiny.containers() if ".job." in name] == []
    assert not list((tiny.site.home / "locks").glob(f"run-{number}*"))
