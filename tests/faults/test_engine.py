"""The engine goes away in the middle of a deployment and comes back: the deployment goes on, or is undone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.conftest import MakeTiny
from tests.faults.faulty import Point
from tests.faults.test_crash import STRATEGIES, Trial
from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages
from tests.support.net import wait_until
from tests.support.summary import Summary

MOMENTS = {
    "recreate": [
        Point("engine.build", 1, "during"),
        Point("engine.create", 1, "before"),
        Point("engine.stop", 1, "before"),
        Point("engine.stop", 1, "after"),
        Point("engine.start", 1, "after"),
        Point("engine.rename", 1, "after"),
    ],
    "blue-green": [Point("engine.start", 1, "after"), Point("engine.exec", 4, "after"), Point("engine.stop", 1, "before")],
}


@pytest.fixture(params=[False, True], ids=["plain", "live-restore"])
def restarted(request: pytest.FixtureRequest, private_engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """The engine, with and without live-restore (containers go on while there is no dockerd)."""
    if request.param:
        restart(private_engine, {"live-restore": True})
    yield private_engine
    if request.param:
        restart(private_engine, {})


def restart(engine: PrivateEngine, settings: dict[str, object]) -> None:
    engine.stop()
    engine.configure(**settings)
    engine.start()


@pytest.mark.parametrize("strategy", MOMENTS)
def test_dockerd_is_killed_and_started_again(
    strategy: str,
    restarted: PrivateEngine,
    make_tiny: MakeTiny,
    base_images: BaseImages,
    summary: Summary,
    pytestconfig: pytest.Config,
) -> None:
    tiny = make_tiny(STRATEGIES[strategy].format(haproxy=base_images.haproxy))
    assert "0 is live" in tiny.push("0").text
    row = summary.row(f"dockerd killed, {strategy}")
    row.known += len(MOMENTS[strategy])
    wrong: list[str] = []
    chosen = MOMENTS[strategy] if pytestconfig.getoption("--exhaustive") else MOMENTS[strategy][::3]
    for number, point in enumerate(chosen, 1):
        tiny.kill_at(point, "other", restarted.kill_command())
        tiny.release(str(number))
        push = tiny.clone.start_push(tiny.remote)
        wait_until(tiny.fired.exists, 30, str(point))
        restarted.killed()
        tiny.kill_no_more()
        restarted.start()
        push.communicate(timeout=60)
        if list((tiny.site.home / "spool").glob("*.push")):
            tiny.site.run("worker", "--once")
        trial = Trial(tiny, routed=strategy != "recreate", replicas=1)
        trial.check(str(number))
        row.tried += 1
        row.held += not trial.wrong
        wrong += [f"{point}: {text}" for text in trial.wrong]
    assert not wrong, "\n".join(wrong)
