"""A deployment is killed before each of its changes; the next run puts the app right, whatever was going on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.sections import Canary
from gitdeploy.errors import StageFailed
from gitdeploy.targets.docker.rollout.recovery import recover
from gitdeploy.targets.docker.rollout.serving import serving_release
from tests.support.net import free_port as find_free_port
from tests.support.net import get, wait_until
from tests.support.prober import Prober
from tests.targets.docker.rollout.interposed import Count, Interposed, KillAt, Killed, kill_before
from tests.targets.docker.rollout.site import Site, answers

SAMPLE = 0.3, 0.7
"""Without --exhaustive, only these points of the way are tried, and only for scenarios of the first three."""


@dataclass(frozen=True)
class Scenario:
    """What is interrupted.

    Attributes:
        before: brings the app into the state from which the deployment starts, and deploys release `version`.
        change: the configuration that the interrupted deployment brings.
        seamless: whether not one request may be lost, kill and recovery included.
        broken: whether the interrupted release fails, so that its undoing is what is interrupted.
    """

    before: Callable[[Site], None]
    change: Callable[[Site], None] = lambda site: None
    seamless: bool = True
    broken: bool = False


def strategy(name: str, replicas: int = 1) -> Callable[[Site], None]:
    return lambda site: site.configure(strategy=name, replicas=replicas, canary=Canary(duration=0.2))


def other_settings(site: Site) -> None:
    site.configure(router=replace(site.app.router, drain_timeout=site.app.router.drain_timeout + 1))


def other_ports(site: Site) -> None:
    site.configure(publish=(site.app.publish[0], Publish("127.0.0.1", find_free_port(), 81)))


SCENARIOS = {
    "recreate": Scenario(strategy("recreate"), seamless=False),
    "rolling": Scenario(strategy("rolling", replicas=2)),
    "to a router": Scenario(strategy("recreate"), strategy("blue-green"), seamless=False),
    "blue-green": Scenario(strategy("blue-green")),
    "canary": Scenario(strategy("canary")),
    "from a router": Scenario(strategy("blue-green"), strategy("recreate"), seamless=False),
    "other settings": Scenario(strategy("blue-green"), other_settings),
    "other ports": Scenario(strategy("blue-green"), other_ports, seamless=False),
    "undoing": Scenario(strategy("rolling", replicas=2), broken=True),
}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if number < 3 else pytest.mark.exhaustive) for number, name in enumerate(SCENARIOS)]
)
def test_killed_at_any_point(site: Site, name: str, pytestconfig: pytest.Config) -> None:
    """Old or new serves after each kill and recovery, and nothing is left over."""
    scenario = SCENARIOS[name]
    points = range(count_changes(site, scenario))
    for point in points if pytestconfig.getoption("--exhaustive") else [int(len(points) * part) for part in SAMPLE]:
        begin(site, scenario)
        killed_then_recovered(site, scenario, point)


def begin(site: Site, scenario: Scenario) -> None:
    """A release is live, the configuration of the next one is there."""
    scenario.before(site)
    number = next(site.numbers)
    site.deploy(f"{number}", release=number, PORTS="80,81")
    scenario.change(site)


def deploy(site: Site, scenario: Scenario, release: int) -> None:
    site.deploy(f"{release}", release=release, PORTS="80,81", **({"EXIT": "4"} if scenario.broken else {}))


def count_changes(site: Site, scenario: Scenario) -> int:
    """How many changes the deployment makes on the engine."""
    begin(site, scenario)
    real, site.engine = site.engine, Interposed(site.engine)  # type: ignore[assignment]
    count = Count(site.engine)  # type: ignore[arg-type]
    with contextlib.suppress(StageFailed):
        deploy(site, scenario, next(site.numbers))
    site.engine = real
    return count.changes


def killed_then_recovered(site: Site, scenario: Scenario, point: int) -> None:
    """One point."""
    release = next(site.numbers)
    real, site.engine = site.engine, Interposed(site.engine)  # type: ignore[assignment]
    kill = KillAt(site.engine, point)  # type: ignore[arg-type]
    with Prober(site.url, pause=0.01) as prober:
        with pytest.raises((Killed, StageFailed)):
            deploy(site, scenario, release)
        assert kill.where
        site.engine = real
        live = recover(real, site.app, site.output, time.monotonic)
        wait_until(lambda: answers(site.url, f"{live}"), 20, f"release {live} after a kill before {kill.where}")
        time.sleep(0.1)
    told = f"killed before {kill.where}: {dict(prober.findings.errors)}; " + site.output.text[-500:]
    assert live in (release - 1, release), told
    assert prober.findings.failed == 0 or not scenario.seamless, told
    assert serving_release(real, site.app) == live
    assert len(site.names()) == site.app.replicas + len(site.containers("router")), told
    assert set(site.names().values()) == {"running"}, told
    assert site.app.container in site.names(), told
    assert {c.labels["gitdeploy.release"] for c in site.containers()} == {f"{live}"}, told
    untouched = Interposed(real)
    KillAt(untouched, 0)
    assert recover(untouched, site.app, site.output, time.monotonic) == live, "a second run finds nothing to do"  # type: ignore[arg-type]


def test_nothing_is_done_where_all_is_well(site: Site) -> None:
    site.deploy("1")
    engine = Interposed(site.engine)
    kill = KillAt(engine, 0)
    assert recover(engine, site.app, site.output, time.monotonic) == 1  # type: ignore[arg-type]
    assert kill.where == ""


def test_a_scout_that_was_left_goes(site: Site) -> None:
    site.deploy("1", release=1)
    other_settings(site)
    real, site.engine = site.engine, Interposed(site.engine)  # type: ignore[assignment]
    kill_before(site.engine, "signal")  # type: ignore[arg-type]
    with pytest.raises(Killed):
        site.deploy("2", release=2)
    site.engine = real
    assert [c.running for c in site.containers("check")] == [True]
    assert recover(real, site.app, site.output, time.monotonic) == 1
    assert site.names() == {site.app.container: "running", f"{site.app.container}.router": "running"}
    assert get(site.url) == "1"


def test_a_first_deployment_that_died_leaves_nothing(site: Site) -> None:
    for point in (0, 4, 8):
        real, site.engine = site.engine, Interposed(site.engine)  # type: ignore[assignment]
        kill = KillAt(site.engine, point)  # type: ignore[arg-type]
        with pytest.raises(Killed):
            site.deploy("1", release=1)
        assert kill.where
        site.engine = real
        assert recover(real, site.app, site.output, time.monotonic) == 0
        assert site.names() == {}
        assert real.networks({"gitdeploy.app": site.app.name}) == []
    site.deploy("1")
    assert get(site.url) == "1"


def test_a_release_that_serves_is_kept_when_its_router_was_removed(site: Site) -> None:
    site.deploy("1")
    site.engine.remove(site.router().id, force=True)
    assert recover(site.engine, site.app, site.output, time.monotonic) == 1
    assert get(site.url) == "1"
