"""What a second process adds to a deployment, beyond its own start.

    python -m tests.bench.processes [RUNS]

The same app is deployed with and without a worker, in turn, by strategies of both kinds. The worker ends at once when it is
asked to, and counts as healthy as soon as it runs. Prints the medians until "web" serves, and until all is done; and how long
the container of the worker alone takes to be made and started, which the deployment does beside the one of "web".
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import replace
from types import MappingProxyType

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import AppProcess
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import Health
from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import ContainerSpec
from tests.bench.ground import ground
from tests.support.images import BaseImages
from tests.support.net import free_port, isolate_network
from tests.targets.docker.rollout.conftest import build_server
from tests.targets.docker.rollout.site import Lines, Site

WORK = Run(command=("sleep", "1000"), stop_signal="SIGKILL")
WORKER = AppProcess(run=WORK, health=Health(min_uptime=0.05))


class Served(Lines):
    """Remembers when "web" said that it serves."""

    at = 0.0

    def line(self, text: str, *, detail: bool = False) -> None:
        if text.endswith(" serves") and not text.startswith(" "):
            self.at = time.monotonic()


def main(runs: int) -> None:
    """Runs the comparison."""
    with ground() as (_, client):
        image = build_server(client, BaseImages().python)
        engine = connect(os.environ)
        for strategy in ("recreate", "rolling", "blue-green"):
            site = Site(engine, image, f"bench/{strategy}", free_port(), BaseImages().haproxy)
            site.configure(strategy=strategy)
            compare(site, runs)
        print(f"a container of the worker alone, made and started: {alone(engine, image, runs):.2f} s")
        print(f"engine {client.version()['Version']}, {runs} deployments of each kind, in turn; medians")
        engine.close()


def compare(site: Site, runs: int) -> None:
    """Deploys in turn and prints what came of it."""
    worker = MappingProxyType({"worker": WORKER})
    one, two = replace(site.app, name=f"{site.app.name}-1", container=f"{site.app.container}-1"), site.app
    ways = {"web": one, "web and worker": replace(two, processes=worker, publish=(Publish("", free_port(), 80),))}
    served: dict[str, list[float]] = {way: [] for way in ways}
    done: dict[str, list[float]] = {way: [] for way in ways}
    for run in range(runs + 1):
        for way, app in ways.items():
            site.app, site.output = app, Served()
            began = time.monotonic()
            site.deploy(f"{run}", release=run + 1)
            if run:  # the first is a first deployment
                done[way].append(time.monotonic() - began)
                served[way].append((site.output.at or time.monotonic()) - began)
    for way in ways:
        text = f"serves after {statistics.median(served[way]):5.2f} s, done after {statistics.median(done[way]):5.2f} s"
        print(f"{two.strategy:<12}{way:<16}{text}")


def alone(engine: Engine, image: str, runs: int) -> float:
    """The median of the seconds that a container of the worker takes to be made and started."""
    seconds = []
    for _ in range(runs):
        began = time.monotonic()
        container = engine.create(ContainerSpec("bench-alone", image, run=WORK))
        engine.start(container)
        seconds.append(time.monotonic() - began)
        engine.remove(container, force=True)
    return statistics.median(seconds)


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
