"""A deployment is killed before each of its changes; the next run puts the app right, whatever was going on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from gitdeploy.config.model import Publish
from gitdeploy.config.sections import Canary
from gitdeploy.rollout.recovery import recover, serving_release
from tests.rollout.interposed import Interposed, KillAt, Killed
from tests.rollout.site import Site, answers
from tests.support.net import free_port as find_free_port
from tests.support.net import get, wait_until
from tests.support.prober import Prober

SAMPLE = 5
"""Without --exhaustive, one in so many points is tried."""


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
    "blue-green": Scenario(strategy("blue-green")),
    "rolling": Scenario(strategy("rolling", replicas=2)),
    "canary": Scenario(strategy("canary")),
    "to a router": Scenario(strategy("recreate"), strategy("blue-green"), seamless=False),
    "from a router": Scenario(strategy("blue-green"), strategy("recreate"), seamless=False),
    "other settings": Scenario(strategy("blue-green"), other_settings),
    "other ports": Scenario(strategy("blue-green"), other_ports, seamless=False),
    "undoing": Scenario(strategy("rolling", replicas=2), broken=True),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_any_point(site: Site, name: str, pytestconfig: pytest.Config) -> None:
    """Old or new serves after each kill and recovery, and nothing is left over."""
    scenario = SCENARIOS[name]
    step = 1 if pytestconfig.getoption("--exhaustive") else SAMPLE
    versions: dict[int, str] = {}
    point = 0
    while True:
        scenario.before(site)
        first, second = next(site.numbers), next(site.numbers)
        versions |= {first: f"{first}", second: f"{second}"}
        site.deploy(f"{first}", release=first, PORTS="80,81")
        scenario.change(site)
        where = killed_then_recovered(site, scenario, point, second, versions)
        if not where:
            break
        point += step
    assert point > 0


def killed_then_recovered(site: Site, scenario: Scenario, point: int, release: int, versions: dict[int, str]) -> str:
    """One point; returns the call before which the deployment died, "" if it had fewer."""
    real, site.engine = site.engine, Interposed(site.engine)  # type: ignore[assignment]
    kill = KillAt(site.engine, point)  # type: ignore[arg-type]
    with Prober(site.url, pause=0.01) as prober:
        try:
            site.deploy(f"{release}", release=release, PORTS="80,81", **({"EXIT": "4"} if scenario.broken else {}))
        except (Killed, Exception) as error:
            assert kill.where or scenario.broken, error
        site.engine = real
        live = recover(real, site.app, site.output, time.monotonic)
        wait_until(lambda: answers(site.url, versions[live]), 5, f"release {live} after a kill before {kill.where}")
        time.sleep(0.1)
    told = f"killed before {kill.where}: {dict(prober.findings.errors)}; " + site.output.text[-500:]
    assert live in list(versions)[-2:], told
    assert prober.findings.failed == 0 or not scenario.seamless, told
    assert serving_release(real, site.app) == live
    routed = len(site.containers("router"))
    assert len(site.names()) == site.app.replicas + routed, told
    assert set(site.names().values()) == {"running"}, told
    assert site.app.container in site.names(), told
    assert {c.labels["gitdeploy.release"] for c in site.containers()} == {f"{live}"}, told
    assert recover(real, site.app, site.output, time.monotonic) == live
    return kill.where


def test_nothing_is_done_where_all_is_well(site: Site) -> None:
    site.deploy("1")
    engine = Interposed(site.engine)
    kill = KillAt(engine, 0)
    assert recover(engine, site.app, site.output, time.monotonic) == 1  # type: ignore[arg-type]
    assert kill.where == ""


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
