"""Routers on several machines: told the same, counted together; one that dies takes its own machine's port along, no more."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from gitdeploy.config.sections import Canary, Swarm
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP
from gitdeploy.targets.router.runtime import Counts
from gitdeploy.targets.swarm.entrance import together
from tests.support.cluster import ClusterNode
from tests.support.net import wait_until
from tests.support.targets import target_on
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.site import answers
from tests.targets.swarm.fleet import ClusterSite
from tests.targets.swarm.test_three_machines import IMPATIENT, lost

PATIENCE = 90


@pytest.fixture
def entries(wide: ClusterSite) -> Iterator[list[ClusterNode]]:
    """Two machines that have the label, of three."""
    nodes = wide.swarm.nodes[1:]
    for node in nodes:
        wide.swarm.label(node, entry="yes")
    wide.configure(replicas=3, router=replace(wide.app.router, nodes="entry==yes"))
    yield nodes
    for node in nodes:
        wide.swarm.label(node)


def url(site: ClusterSite, node: ClusterNode) -> str:
    return f"http://{node.address}:{site.port}/"


def serve(site: ClusterSite, nodes: list[ClusterNode], version: str) -> bool:
    """Whether these machines answer with that version, and no other machine answers."""
    return [node for node in site.swarm.nodes if node.on and answers(url(site, node), version)] == nodes


@contextmanager
def load(site: ClusterSite, nodes: list[ClusterNode]) -> Iterator[list[Load]]:
    """Clients of each of these machines."""
    with ExitStack() as stack:
        yield [stack.enter_context(Load(site.port, host=node.address, patience=30.0)) for node in nodes]


def test_all_are_told_the_same(wide: ClusterSite, entries: list[ClusterNode]) -> None:
    assert wide.deploy("1").outage is None
    assert serve(wide, entries, "1")
    with load(wide, entries) as loads:
        wide.configure(strategy="canary", canary=Canary(weight=(50,), duration=2.0, min_requests=20, max_5xx_rate=0.01))
        with pytest.raises(StageFailed, match="answers were 5xx"):
            wide.deploy("2", FAIL_EVERY="2")
        assert serve(wide, entries, "1")
        wide.configure(strategy="rolling")
        wide.deploy("3")
        assert serve(wide, entries, "3")
    for each in loads:
        assert {kind for errors in each.lost.values() for kind in errors} <= {"HTTP 500"}
        assert set(each.findings.bodies) == {"1", "2", "3"}
    assert wide.condition() == ""


@pytest.mark.exhaustive
def test_a_machine_with_a_router_dies_and_comes_back(wide: ClusterSite, entries: list[ClusterNode]) -> None:
    wide.deploy("1")
    stays, dies = entries
    with load(wide, [stays]) as (lasting,):
        wide.swarm.kill(dies)
        wide.deploy("2")
        wide.swarm.power_on(dies)
        wait_until(lambda: serve(wide, entries, "2"), PATIENCE, "a router that knows the release of today")
        wide.deploy("3")
    assert serve(wide, entries, "3")
    assert lasting.lost == {}


@pytest.mark.exhaustive
def test_gitdeploys_own_machine_dies_and_comes_back(wide: ClusterSite, entries: list[ClusterNode]) -> None:
    """The only manager, and the router through which the others are told."""
    wide.deploy("1")
    manager = wide.swarm.manager
    with load(wide, entries) as loads:
        wide.swarm.kill(manager)
        time.sleep(20)  # long enough for all that asks it to notice
        assert serve(wide, entries, "1")
    for each in loads:
        assert lost(each) == set()
    wide.swarm.power_on(manager)
    wide.swarm.heal()
    wait_until(lambda: wide.condition() == "", PATIENCE, "all of it again")
    wait_until(lambda: serve(wide, entries, "1"), PATIENCE, "the routers")
    wide.deploy("2")
    assert serve(wide, entries, "2")


@pytest.mark.exhaustive
def test_moves_to_other_machines_and_back_to_the_manager(wide: ClusterSite, entries: list[ClusterNode]) -> None:
    spread, alone = wide.app.router, replace(wide.app.router, nodes="")
    wide.configure(router=alone)
    wide.deploy("1")
    assert serve(wide, [wide.swarm.manager], "1")
    wide.configure(router=spread)
    wide.deploy("2")
    assert serve(wide, entries, "2")
    wide.configure(router=replace(spread, drain_timeout=7.0))  # another configuration
    wide.deploy("3")
    assert serve(wide, entries, "3")
    with pytest.raises(StageFailed, match="not healthy"):
        wide.deploy("4", PORTS="")
    assert serve(wide, entries, "3")
    target = target_on(wide.engine)
    target.take_out(wide.app)
    assert serve(wide, [], "3")
    target.bring_back(wide.app, wide.output)
    assert serve(wide, entries, "3")
    wide.configure(router=alone)
    wide.deploy("5")
    assert serve(wide, [wide.swarm.manager], "5")
    assert len(wide.services()) == 1
    assert len(wide.engine.networks({APP: wide.app.name})) == 1


@pytest.mark.exhaustive
def test_comes_from_a_machines_own_port_and_goes_back_there(wide: ClusterSite, entries: list[ClusterNode]) -> None:
    """Old and new want the same port of the same machine."""
    spread = replace(wide.app, swarm=Swarm(constraints=("node.hostname==node2",)), replicas=1)
    alone = replace(spread, strategy="recreate")
    wide.app = alone
    wide.deploy("1")
    assert serve(wide, entries[:1], "1")
    wide.app = spread
    wide.deploy("2")
    assert serve(wide, entries, "2")
    wide.app = replace(alone, health=IMPATIENT)
    with pytest.raises(StageFailed, match="not healthy"):
        wide.deploy("3", PORTS="")
    wait_until(lambda: serve(wide, entries, "2"), PATIENCE, "the routers again")
    wide.app = alone
    wide.deploy("4")
    assert serve(wide, entries[:1], "4")
    assert len(wide.services()) == 1
    assert wide.engine.networks({APP: wide.app.name}) == []


@pytest.mark.exhaustive
def test_machines_that_cannot(wide: ClusterSite, entries: list[ClusterNode]) -> None:
    """A port that something else has there: what serves goes on serving."""
    alone = replace(wide.app.router, nodes="")
    wide.configure(router=replace(alone, nodes="entry==no"))
    with pytest.raises(StageFailed, match=r"no machine that is there has the label entry==no") as failed:
        target_on(wide.engine).require_fit(wide.app, wide.app)
    assert failed.value.hint.startswith("docker node update --label-add entry=no NAME")
    wide.configure(router=alone)
    wide.deploy("2")
    taken = [*entries[0].enter(), "busybox", "nc", "-ll", "-p", str(wide.port), "-e", "true"]
    listening = subprocess.Popen(taken, start_new_session=True)
    try:
        wide.configure(router=replace(alone, nodes="entry==yes"))
        with pytest.raises(StageFailed, match=r"no router runs on node2: task on node2 .*address already in use"):
            wide.deploy("3")
    finally:
        os.killpg(listening.pid, signal.SIGKILL)
        listening.wait()
    assert serve(wide, [wide.swarm.manager], "2")
    assert len(wide.services()) == 1
    wide.deploy("4")
    assert serve(wide, entries, "4")


def test_routers_count_together() -> None:
    """Each has given a service's tasks to its slots in an order of its own."""
    up = Counts(up=True, current=1, answers=10, bad=1, check="L7OK", passed=True)
    down = Counts(current=2, answers=5, check="L4CON")
    found = together([{"a": [up, down]}, {"a": [down, up]}])
    assert [counts.reached for counts in found["a"]] == [True, False]
    assert [counts.answers for counts in found["a"]] == [20, 10]
    assert [counts.current for counts in found["a"]] == [2, 4]
    found = together([{"a": [up, up]}, {"a": [up, down]}, {}])
    assert [counts.reached for counts in found["a"]] == [False, False]
    assert [counts.answers for counts in found["a"]] == [20, 15]
