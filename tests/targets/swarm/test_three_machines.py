"""What only shows where an app runs on several machines: no request is lost, and machines die, are emptied or cut off."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest

from gitdeploy.config.sections import Canary, Health, Swarm
from gitdeploy.errors import StageFailed
from tests.support.net import wait_until
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.site import answers
from tests.targets.swarm.fleet import ClusterSite

PATIENCE = 90
"""Seconds; a death is noticed after some heartbeats, and what replaces its tasks has to start."""

IMPATIENT = Health(start_period=2.0, interval=0.2, retries=2, timeout=1.0)


def when(
    site: ClusterSite, monkeypatch: pytest.MonkeyPatch, words: str, act: Callable[[], object], *, time: int = 1
) -> list[str]:
    """Has something happen as soon as a deployment says these words for the nth time; returns what has happened."""
    original, seen, done = site.output.line, [], []

    def line(text: str, *, detail: bool = False) -> None:
        original(text)
        if words in text:
            seen.append(text)
            if len(seen) == time:
                done.append(text)
                act()

    monkeypatch.setattr(site.output, "line", line)
    return done


def lost(load: Load) -> set[str]:
    """What went wrong for clients of a machine that died; nobody can give them the rest of an answer that had begun."""
    kinds = {kind for errors in load.lost.values() for kind in errors}
    return {kind for kind in kinds if not kind.startswith("IncompleteRead")}


def test_no_strategy_loses_a_request(wide: ClusterSite) -> None:
    wide.configure(replicas=3, canary=Canary(weight=(20, 50), duration=0.7))
    assert wide.deploy("1").outage is None
    with wide.load() as load:
        for number, strategy in enumerate(("rolling", "blue-green", "canary"), 2):
            wide.configure(strategy=strategy)
            assert wide.deploy(f"{number}").outage == 0.0
            assert wide.live() == [f"{number}"]
            assert wide.where() == ["node1", "node2", "node3"]
            assert load.lost == {}
    assert load.lost == {}
    assert set(load.findings.bodies) == {"1", "2", "3", "4"}
    assert load.clients["slow"].sent > 2
    assert wide.condition() == ""


@pytest.mark.exhaustive
def test_a_machine_dies(wide: ClusterSite) -> None:
    wide.configure(replicas=3)
    wide.deploy("1")
    dead = wide.swarm.nodes[2]
    with wide.load() as load:
        wide.swarm.kill(dead)
        wait_until(lambda: "of its 3 tasks run" in wide.condition(), PATIENCE, "that the death is noticed")
        assert wide.where()[:2] == ["node1", "node2"]
        wait_until(lambda: wide.condition() == "", PATIENCE, "a task in the place of that which died")
    assert lost(load) == set()
    assert "node3" not in wide.where()
    assert wide.deploy("2").outage == 0.0
    assert wide.live() == ["2"]


@pytest.mark.parametrize(
    ("strategy", "words", "time"),
    [
        ("rolling", "starting", 2),
        pytest.param("blue-green", "starting", 1, marks=pytest.mark.exhaustive),
        pytest.param("canary", "canary: 50 %", 1, marks=pytest.mark.exhaustive),
        pytest.param("blue-green", " 2 serves", 1, marks=pytest.mark.exhaustive),
    ],
)
def test_a_machine_dies_during_a_deployment(
    wide: ClusterSite, monkeypatch: pytest.MonkeyPatch, strategy: str, words: str, time: int
) -> None:
    """The new release serves, or the old one does: one of them, on the machines that are left."""
    wide.configure(strategy=strategy, replicas=3, canary=Canary(weight=(20, 50), duration=2.0))
    wide.deploy("1")
    struck = when(wide, monkeypatch, words, lambda: wide.swarm.kill(wide.swarm.nodes[2]), time=time)
    with wide.load() as load:
        try:
            wide.deploy("2")
            serves = "2"
        except StageFailed as error:
            serves = "1"
            assert "node3" in "\n".join([error.reason, *error.tail]), error
        assert struck
        assert wide.live() == [serves]
        wait_until(lambda: wide.condition() == "", PATIENCE, "all tasks on the machines that are left")
    assert lost(load) == set()
    assert set(wide.where()) == {"node1", "node2"}
    assert answers(wide.url, serves)


@pytest.mark.exhaustive
def test_a_machine_is_emptied_by_its_admin(wide: ClusterSite, monkeypatch: pytest.MonkeyPatch) -> None:
    wide.configure(strategy="rolling", replicas=3)
    wide.deploy("1")
    emptied = wide.swarm.nodes[1]
    struck = when(wide, monkeypatch, "starting", lambda: wide.swarm.set_availability(emptied, "drain"), time=3)
    with wide.load() as load:
        wide.deploy("2")
        assert struck
        wait_until(lambda: wide.condition() == "", PATIENCE, "all tasks on other machines")
        wide.deploy("3")
    assert load.lost == {}
    assert wide.live() == ["3"]
    assert len(wide.where()) == 3
    assert set(wide.where()) == {"node1", "node3"}


@pytest.mark.exhaustive
def test_the_managers_engine_starts_again(wide: ClusterSite) -> None:
    """The router comes back; the cluster itself may have started tasks anew, on whatever machine it saw first."""
    wide.configure(replicas=3)
    wide.deploy("1")
    manager = wide.swarm.manager
    manager.kill()
    manager.start()
    wait_until(lambda: not wide.cluster.membership().error, PATIENCE, "a leader")
    wait_until(lambda: answers(wide.url, "1"), PATIENCE, "the router")
    wait_until(lambda: wide.condition() == "", PATIENCE, "all tasks")
    wide.swarm.heal()
    wide.deploy("2")
    assert wide.live() == ["2"]
    assert wide.where() == ["node1", "node2", "node3"]


@pytest.mark.exhaustive
def test_a_machine_that_does_not_reach_the_registry(wide: ClusterSite) -> None:
    """Tasks that pile up on other machines are no success."""
    wide.configure(replicas=3)
    wide.deploy("1")
    wide.image = another_image(wide)
    cut_off = wide.swarm.nodes[1]
    route = ("blackhole", f"{wide.swarm.address}/32")
    cut_off.run("ip", "route", "add", *route)
    try:
        with wide.load() as load, pytest.raises(StageFailed) as failed:
            wide.deploy("2")
    finally:
        cut_off.run("ip", "route", "delete", *route)
    assert "node2" in failed.value.reason
    assert "image" in failed.value.reason
    assert load.lost == {}
    assert wide.live() == ["1"]
    wide.deploy("3")
    assert wide.live() == ["3"]
    assert wide.where() == ["node1", "node2", "node3"]


def another_image(site: ClusterSite) -> str:
    """An image that no machine but the manager has; it behaves like the other one."""
    repository, tag = site.image.rpartition(":")[0], uuid.uuid4().hex[:8]
    with site.swarm.client() as client:
        container = client.containers.create(site.image)
        container.commit(repository, tag, changes=f"LABEL test={tag}")
        container.remove()
        output = client.images.push(repository, tag)
    assert "digest" in output, output
    return f"{repository}:{tag}"


def test_what_does_not_get_healthy_leaves_the_old_release(wide: ClusterSite) -> None:
    wide.configure(replicas=3, health=IMPATIENT)
    wide.deploy("1")
    good = wide.app
    with wide.load() as load:
        with pytest.raises(StageFailed) as failed:
            wide.deploy("2", PORTS="")
        assert "not healthy after" in failed.value.reason
        assert any("version 2" in line for line in failed.value.tail)
        with pytest.raises(StageFailed) as failed:
            wide.deploy("3", EXIT="4")
        assert "exit code 4" in failed.value.reason or "non-zero exit (4)" in failed.value.reason
        assert any("cannot find my database" in line for line in failed.value.tail)
        wide.configure(swarm=Swarm(constraints=("node.labels.zone==moon",)))
        with pytest.raises(StageFailed) as failed:
            wide.deploy("4")
        assert "no suitable node (scheduling constraints" in failed.value.reason
    assert load.lost == {}
    assert wide.live() == ["1"]
    wide.app = replace(good, swarm=Swarm(constraints=("node.hostname!=node1",)))
    wide.deploy("5")
    assert set(wide.where()) == {"node2", "node3"}


def test_what_does_not_get_healthy_brings_other_settings_of_the_router(wide: ClusterSite) -> None:
    wide.configure(replicas=3)
    wide.deploy("1")
    wide.configure(health=IMPATIENT)
    with wide.load() as load:
        with pytest.raises(StageFailed, match="the router reaches 0 of 3"):
            wide.deploy("2", PORTS="")
        assert wide.live() == ["1"]
        assert wide.containers("check") == []
        wide.deploy("3")
    assert load.lost == {}
    assert wide.live() == ["3"]
    assert wide.containers("check") == []
