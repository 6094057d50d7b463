"""Another manager leads than the one that gitdeploy speaks to, and stops in the middle of a deployment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from gitdeploy.config.sections import Canary, Swarm
from gitdeploy.engine.client import connect
from gitdeploy.errors import StageFailed
from tests.support.cluster import ClusterNode, SwarmNodes
from tests.support.net import wait_until
from tests.targets.docker.rollout.site import answers
from tests.targets.swarm.conftest import make_site
from tests.targets.swarm.fleet import ClusterSite
from tests.targets.swarm.test_three_machines import lost, when

PATIENCE = 90

ENDS: dict[str, Callable[[SwarmNodes, ClusterNode], None]] = {
    "demoted": lambda swarm, leader: swarm.demote(leader),
    "its engine killed": lambda swarm, leader: leader.kill(),
    "its machine dead": lambda swarm, leader: swarm.kill(leader),
}

MOMENTS = (
    ("demoted", "rolling", "starting", 1),
    ("demoted", "recreate", "stopping", 1),
    ("its engine killed", "rolling", "starting", 2),
    ("its engine killed", "blue-green", "starting", 1),
    ("its engine killed", "blue-green", " 2 serves", 1),
    ("its engine killed", "recreate", "stopping", 1),
    ("its engine killed", "recreate", "starting", 1),
    ("its machine dead", "rolling", "starting", 1),
    ("its machine dead", "canary", "canary: 50 %", 1),
)


@pytest.fixture(scope="module")
def managers(isolated_environment: None, pytestconfig: pytest.Config) -> Iterator[SwarmNodes]:
    """Three machines that are all managers."""
    options = pytestconfig.getoption("--engine-root"), tuple(pytestconfig.getoption("--engine-feature"))
    with SwarmNodes(3, *options, managers=3) as swarm:
        yield swarm


@pytest.fixture
def led(managers: SwarmNodes) -> Iterator[ClusterSite]:
    """An app that was never deployed; gitdeploy speaks to the first machine, and another one leads."""
    managers.lead_elsewhere()
    engine = connect({"DOCKER_HOST": managers.manager.url})
    site = make_site(managers, engine)
    yield site
    for node in managers.nodes[1:]:
        if node.serving:
            managers.demote(node, again=True)
    managers.heal(PATIENCE)
    site.remove()
    engine.close()


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("end", "strategy", "words", "time"), MOMENTS)
def test_the_leader_ends(
    led: ClusterSite, monkeypatch: pytest.MonkeyPatch, end: str, strategy: str, words: str, time: int
) -> None:
    """The deployment goes on under another one, or is undone; what was on its machine may be lost with that."""
    led.configure(strategy=strategy, replicas=3, canary=Canary(weight=(20, 50), duration=2.0))
    if strategy == "recreate":
        led.configure(swarm=Swarm(constraints=("node.hostname==node1",)))
    led.deploy("1")
    leader = led.swarm.leader
    assert leader is not led.swarm.manager
    struck = when(led, monkeypatch, words, lambda: ENDS[end](led.swarm, leader), time=time)
    with led.load() if strategy != "recreate" else contextlib.nullcontext() as load:
        try:
            led.deploy("2")
            serves = "2"
        except StageFailed:
            if end == "demoted":
                raise
            serves = "1"
        assert struck
        assert led.swarm.leader is not leader
        assert led.live() == [serves]
        wait_until(lambda: led.condition() == "", PATIENCE, "all tasks")
        assert answers(led.url, serves)
    if load:
        assert set(lost(load) if end == "its machine dead" else load.lost) == set()
        assert set(load.findings.bodies) <= {"1", "2"}
    assert led.containers("check") == []
