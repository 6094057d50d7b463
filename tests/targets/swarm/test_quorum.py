"""Managers that cannot decide: what serves goes on, and nothing is changed."""

from __future__ import annotations

import pytest

from gitdeploy.engine.client import connect
from gitdeploy.errors import StageFailed
from tests.support.cluster import SwarmNodes
from tests.support.net import free_port, wait_until
from tests.targets.docker.rollout.site import answers
from tests.targets.swarm.conftest import images
from tests.targets.swarm.fleet import ClusterSite


@pytest.mark.exhaustive
def test_two_of_three_managers_die(isolated_environment: None, pytestconfig: pytest.Config) -> None:
    options = pytestconfig.getoption("--engine-root"), tuple(pytestconfig.getoption("--engine-feature"))
    with SwarmNodes(3, *options, managers=3) as swarm:
        engine = connect({"DOCKER_HOST": swarm.manager.url})
        image, haproxy = images(swarm)
        site = ClusterSite(swarm, engine, image, "devops/quorum", free_port(), haproxy)
        site.deploy("1")
        before = site.services()
        for node in swarm.nodes[1:]:
            swarm.kill(node)
        wait_until(lambda: bool(site.cluster.membership().error), 90, "that the cluster says so")
        with pytest.raises(StageFailed) as failed:
            site.deploy("2")
        assert "the cluster says" in failed.value.reason
        assert "nothing was changed" in failed.value.hint
        assert "the cluster says" in site.condition()
        swarm.heal(120)
        wait_until(lambda: not site.cluster.membership().error, 60, "a leader")
        assert site.services() == before
        wait_until(lambda: answers(site.url, "1"), 60, "the old release")
        site.deploy("3")
        assert site.live() == ["3"]
        engine.close()
