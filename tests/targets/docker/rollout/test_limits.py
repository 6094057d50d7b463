"""The limits of `[apps.X.run]` on the containers that a deployment makes, whichever strategy; and on the router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
import pytest

from gitdeploy.config import snapshot
from gitdeploy.config.runoptions import Run
from tests.support.net import get
from tests.targets.docker.rollout.site import Site

RUN = Run(memory=256 << 20, cpus=1.5, pids_limit=200, log_driver="local", log_opts={"max-size": "1m"})


def limits(client: docker.DockerClient, container: str) -> Mapping[str, Any]:
    """What `docker inspect` shows of them."""
    host = client.api.inspect_container(container)["HostConfig"]
    return {key: host[key] for key in ("Memory", "NanoCpus", "PidsLimit", "SecurityOpt", "LogConfig")}


@pytest.mark.parametrize("strategy", ["recreate", "rolling", "blue-green", "canary"])
def test_every_strategy_sets_them(site: Site, docker_client: docker.DockerClient, strategy: str) -> None:
    site.configure(strategy=strategy, run=RUN)
    site.deploy("1")
    site.deploy("2")
    assert limits(docker_client, site.app.container) == {
        "Memory": 256 << 20,
        "NanoCpus": 1_500_000_000,
        "PidsLimit": 200,
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}},
    }


def test_the_router_has_limits_of_its_own(site: Site, docker_client: docker.DockerClient) -> None:
    site.configure(run=RUN)
    site.deploy("1")
    assert limits(docker_client, site.router().id) == {
        "Memory": 0,
        "NanoCpus": 0,
        "PidsLimit": 4096,
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    }


def test_what_runs_keeps_what_it_has_until_the_next_deployment(site: Site, docker_client: docker.DockerClient) -> None:
    site.configure(run=Run(pids_limit=0, no_new_privileges=False))
    site.deploy("1")
    site.configure(run=RUN)
    assert limits(docker_client, site.app.container)["SecurityOpt"] is None
    site.deploy("2")
    assert get(site.url) == "2"
    assert limits(docker_client, site.app.container)["SecurityOpt"] == ["no-new-privileges"]


def test_a_release_of_before_there_were_limits_runs_again_as_it_ran(site: Site) -> None:
    written = snapshot.dump(site.app).replace('"run": {', '"walk": {')
    old = snapshot.load(written)
    assert old is not None
    assert (old.run.pids_limit, old.run.no_new_privileges, old.run.memory) == (0, False, 0)
    site.configure(run=RUN)
    assert snapshot.load(snapshot.dump(site.app)) == site.app
