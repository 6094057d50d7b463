"""The engine goes away in the middle of a deployment and comes back: the deployment goes on, or is undone."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.faults.conftest import MakeTiny, Tiny
from tests.faults.faulty import Point
from tests.faults.test_crash import CRASHED, REPLICAS, STRATEGIES, Trial
from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages
from tests.support.installed import Installed
from tests.support.net import wait_until
from tests.support.params import sample
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
    "processes": [Point("engine.start", 3, "after"), Point("engine.stop", 1, "before"), Point("engine.rename", 1, "after")],
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


@pytest.mark.parametrize("strategy", sample(STRATEGIES, "recreate", "canary"))
def test_dockerd_is_killed_while_nothing_is_deployed(
    strategy: str, restarted: PrivateEngine, make_tiny: MakeTiny, base_images: BaseImages, summary: Summary
) -> None:
    """Everything answers again without a person and without gitdeploy: nobody pushes, and no agent runs."""
    tiny = make_tiny(STRATEGIES[strategy].format(haproxy=base_images.haproxy))
    assert "0 is live" in tiny.push("0").text
    row = summary.row(f"dockerd killed at rest, {strategy}")
    row.known += 1
    row.tried += 1
    restarted.kill()
    restarted.start()
    wait_until(lambda: tiny.get() == "0", 30, f"the app, of which there is {tiny.containers()}")
    assert set(tiny.containers().values()) == {"running"}
    row.held += 1


@pytest.fixture
def agent(make_tiny: MakeTiny, installed: Installed) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a `gitdeploy worker --watch`, as an agent is."""
    with contextlib.ExitStack() as stack:

        def start() -> subprocess.Popen[bytes]:
            command = [str(installed.home / "bin" / "gitdeploy"), "worker", "--watch"]
            process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.DEVNULL))
            stack.callback(process.terminate)
            return process

        yield start


@pytest.mark.parametrize("strategy", sample(["recreate", "blue-green"], "recreate"))
def test_an_agent_brings_back_what_an_older_policy_left_down(
    strategy: str,
    agent: Callable[[], subprocess.Popen[bytes]],
    make_tiny: MakeTiny,
    private_engine: PrivateEngine,
    base_images: BaseImages,
) -> None:
    tiny = make_tiny(STRATEGIES[strategy].format(haproxy=base_images.haproxy))
    assert "0 is live" in tiny.push("0").text
    make_perishable(tiny)
    private_engine.kill()
    private_engine.start()
    assert set(tiny.containers().values()) == {"exited"}
    agent()
    wait_until(lambda: tiny.get() == "0", 30, "the app, at the agent's start")
    assert policies(tiny) == {"always"}
    make_perishable(tiny)
    private_engine.kill()
    private_engine.start()
    wait_until(lambda: tiny.get() == "0", 30, "the app, after the engine's crash")
    wait_until(lambda: policies(tiny) == {"always"}, 10, "its policy")
    log = (tiny.site.home / "logs" / "gitdeploy.log").read_text()
    assert log.count(f"{tiny.name}: {tiny.container} has the restart policy always now") == 2
    assert f"{tiny.name}: starting what should run: {tiny.container}" in log


def test_an_agent_leaves_what_was_taken_out(
    agent: Callable[[], subprocess.Popen[bytes]], make_tiny: MakeTiny, private_engine: PrivateEngine
) -> None:
    tiny, other = make_tiny(STRATEGIES["recreate"]), make_tiny(suffix="-other")
    for app in (tiny, other):
        assert "0 is live" in app.push("0").text
    tiny.site.run("stop", tiny.name)
    other.client.containers.get(other.container).stop(timeout=0)
    agent()
    wait_until(lambda: other.get() == "0", 30, "what was only stopped by docker")
    private_engine.kill()
    private_engine.start()
    wait_until(lambda: other.get() == "0", 30, "the app after the engine's crash")
    assert set(tiny.containers().values()) == {"exited"}


def make_perishable(tiny: Tiny) -> None:
    """Gives its containers the policy of older gitdeploys."""
    for name in tiny.containers():
        tiny.client.containers.get(name).update(restart_policy={"Name": "unless-stopped", "MaximumRetryCount": 0})


def policies(tiny: Tiny) -> set[str]:
    return {tiny.client.containers.get(name).attrs["HostConfig"]["RestartPolicy"]["Name"] for name in tiny.containers()}


@pytest.mark.parametrize("strategy", MOMENTS)
def test_dockerd_is_killed_and_started_again(
    strategy: str,
    restarted: PrivateEngine,
    make_tiny: MakeTiny,
    base_images: BaseImages,
    summary: Summary,
    pytestconfig: pytest.Config,
) -> None:
    tiny = make_tiny(CRASHED[strategy].format(haproxy=base_images.haproxy))
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
        trial = Trial(tiny, routed=strategy != "recreate", replicas=REPLICAS.get(strategy, 1))
        trial.check(str(number))
        row.tried += 1
        row.held += not trial.wrong
        wrong += [f"{point}: {text}" for text in trial.wrong]
    assert not wrong, "\n".join(wrong)
