"""kill -9 at every effect of a push to an app with a domain, which moves between its router and its only container."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from tests.faults.conftest import MakeTiny, Tiny
from tests.faults.faulty import Point
from tests.faults.test_crash import PARTS, Trial, points, sample
from tests.support.images import BaseImages
from tests.support.net import free_port, wait_until
from tests.support.summary import Summary

DOMAIN = "tiny.example.test"
SAMPLES = 4
TABLE = f"""\
domains = ["{DOMAIN}"]
tls = "off"
port = 80
router = {{{{ image = "{{haproxy}}", drain_timeout = "2s" }}}}
[edge]
image = "{{haproxy}}"
http_port = {{port}}
https_port = {{other}}
"""


@pytest.fixture
def edge_port(docker_client: docker.DockerClient) -> Iterator[int]:
    """The edge's port; what is left of it goes."""
    yield free_port()
    for container in docker_client.containers.list(all=True, filters={"label": "gitdeploy.role=edge"}):
        container.remove(force=True)
    for network in docker_client.networks.list(filters={"label": "gitdeploy.role=edge"}):
        network.remove()


@pytest.fixture
def tiny(make_tiny: MakeTiny, base_images: BaseImages, edge_port: int) -> Tiny:
    """An app that answers by its domain alone."""
    made = make_tiny(TABLE.format(haproxy=base_images.haproxy, port=edge_port, other=free_port()))
    config = Path(made.site.home, "config.toml")
    lines = config.read_text().splitlines()
    config.write_text("\n".join([*(line for line in lines if not line.startswith("publish")), ""]))
    return replace(made, port=edge_port, host=DOMAIN)


def commit(tiny: Tiny, number: int) -> None:
    """Commits a release with its strategy."""
    tiny.release(str(number), **{"gitdeploy.toml": f'strategy = "{strategy_of(number)}"\n'})


def strategy_of(number: int) -> str:
    """Even releases have a router."""
    return "recreate" if number % 2 else "rolling"


class EdgeTrial(Trial):
    """A release that changes where the edge finds the app. From a router to a container there is recreate's own outage."""

    def check(self, version: str) -> None:
        """As for any app, once the next look of the edge's has been made."""
        self._settle()
        self.tiny.site.run("edge", "apply")
        wait_until(lambda: self.tiny.get() == version, 20, f"{version} behind the edge")
        self.own_network = True
        super().check(version)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", [pytest.param(n, marks=pytest.mark.exhaustive if n else ()) for n in range(PARTS)])
def test_kill_at_every_effect_of_a_move_behind_the_edge(
    part: int, tiny: Tiny, summary: Summary, pytestconfig: pytest.Config
) -> None:
    commit(tiny, 0)
    assert "0 is live" in tiny.push().text
    commit(tiny, 1)
    effects = tiny.effects(tiny.push)
    commit(tiny, 2)
    effects |= tiny.effects(tiny.push)
    every = list(points(effects))
    chosen: list[Point] = every[part::PARTS] if pytestconfig.getoption("--exhaustive") else sample(every, SAMPLES)
    row = summary.row("kill -9 of the worker, a move behind the edge")
    row.known += 0 if part else len(every)
    wrong: list[str] = []
    for number, point in enumerate(chosen, 3):
        trial = EdgeTrial(tiny, routed=strategy_of(number) == "rolling", replicas=1)
        commit(tiny, number)
        fired = trial.run(str(number - 1), str(number), point, "child")
        row.tried += fired
        row.held += fired and not trial.wrong
        wrong += [f"{point} ({strategy_of(number)}): {text}" for text in trial.wrong]
    assert not wrong, "\n".join(wrong)
