"""Redeployments under load from real clients: none of them may notice."""

from __future__ import annotations

import pytest

from gitdeploy.config.sections import Canary
from tests.support.net import get
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.site import Site


@pytest.mark.parametrize(("strategy", "replicas"), [("blue-green", 1), ("rolling", 2), ("canary", 1)])
def test_nothing_is_refused_cut_or_failed(site: Site, strategy: str, replicas: int) -> None:
    site.configure(strategy=strategy, replicas=replicas, canary=Canary(weight=(20, 50), duration=0.7))
    assert site.deploy("1").outage is None
    with Load(site.port) as load:
        for version in ("2", "3"):
            assert site.deploy(version).outage == 0.0
    assert load.lost == {}
    assert set(load.findings.bodies) == {"1", "2", "3"}
    assert load.clients["slow"].sent > 2
    assert {get(site.url) for _ in range(4)} == {"3"}
    assert len(site.containers()) == replicas
    assert site.names()[site.app.container] == "running"


def test_a_websocket_goes_on_through_a_switch_until_the_drain_limit(site: Site) -> None:
    site.deploy("1")
    with Load(site.port, websocket=True) as load:
        websocket = load.clients["websocket"]
        site.deploy("2")
        assert "draining the old release: " in site.output.text
        assert "1 were still running after 3 s and are cut" in site.output.text
    assert set(load.lost) == {"websocket"}
    assert websocket.answers["1"] > 30  # ten a second over the three of drain_timeout
    assert websocket.answers["2"] > 0  # a new connection, to the new release


def test_more_and_fewer_replicas(site: Site) -> None:
    site.configure(strategy="rolling", replicas=1)
    site.deploy("1")
    with Load(site.port) as load:
        site.configure(replicas=3)
        site.deploy("2")
        assert len(site.containers()) == 3
        site.configure(replicas=1)
        site.deploy("3")
    assert load.lost == {}
    assert [c.name for c in site.containers()] == [site.app.container]
