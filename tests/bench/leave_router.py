"""The outage where an app leaves its router, from blue-green to recreate, against a bare `docker stop` and `docker run`.

    python -m tests.bench.leave_router [RUNS]

The app ends in peace: after its stop signal it serves on until its connections are closed, and a router keeps idle ones open.
The client opens a connection for every request. Both ways in turn, medians of the longest gap between two good answers.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from gitdeploy.engine.client import connect
from tests.bench.ground import ground
from tests.support.images import BaseImages
from tests.support.net import free_port, isolate_network, wait_until
from tests.support.prober import Prober
from tests.targets.docker.rollout.conftest import build_server
from tests.targets.docker.rollout.site import Site, answers

IMAGE = "gitdeploy-test/rollout:1"
STOP = 20.0
"""Seconds for the app to end, which it would use up if its connections stayed open."""

AROUND = 0.5
"""Seconds of good answers before and after."""


def leave(site: Site) -> float:
    """Lets the app leave its router; returns the gap."""
    site.configure(strategy="blue-green", stop_timeout=STOP)
    site.deploy("1", LINGER="1")
    with Prober(site.url, pause=0.005, timeout=30) as prober:
        time.sleep(AROUND)
        site.configure(strategy="recreate")
        site.deploy("2", LINGER="1")
        time.sleep(AROUND)
    return prober.findings.longest_gap


def bare(port: int) -> float:
    """Stops a container and runs the next one in its place; returns the gap."""

    def run(version: str) -> None:
        options = ["--name", "bare", "-p", f"{port}:80", "-e", f"VERSION={version}", "-e", "LINGER=1"]
        subprocess.run(["docker", "run", "--detach", *options, IMAGE], check=True, stdout=subprocess.DEVNULL)

    url = f"http://127.0.0.1:{port}/"
    run("1")
    wait_until(lambda: answers(url, "1"), 20, "the first")
    with Prober(url, pause=0.005, timeout=30) as prober:
        time.sleep(AROUND)
        subprocess.run(["docker", "stop", "--time", f"{STOP:.0f}", "bare"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["docker", "rm", "bare"], check=True, stdout=subprocess.DEVNULL)
        run("2")
        wait_until(lambda: answers(url, "2"), 20, "the second")
        time.sleep(AROUND)
    subprocess.run(["docker", "rm", "--force", "bare"], check=True, stdout=subprocess.DEVNULL)
    return prober.findings.longest_gap


def main(runs: int) -> None:
    with ground() as (_, client):
        base = BaseImages()
        build_server(client, base.python)
        engine = connect(os.environ)
        site = Site(engine, IMAGE, "bench/leaving", free_port(), base.haproxy)
        ours, plain = [], []
        for _ in range(runs):
            ours.append(leave(site))
            plain.append(bare(free_port()))
        mine, other = statistics.median(ours), statistics.median(plain)
        print(f"engine {client.version()['Version']}, {runs} runs each, medians (least to most)")
        for name, found in (("blue-green to recreate", ours), ("docker stop, docker run", plain)):
            print(f"{name:<24}{statistics.median(found):>8.2f} s ({min(found):.2f} to {max(found):.2f})")
        print(f"ratio {mine / other:.2f}")
        for container in engine.containers({"gitdeploy.app": site.app.name}):
            engine.remove(container.id, force=True)
        engine.close()


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
