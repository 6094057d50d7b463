"""What a release on a Swarm of three machines costs, against the cluster's own way; and what the way to another machine costs.

    python -m tests.bench.cluster [RUNS]

The same image with 6 replicas, which every machine has, goes live by rolling with max_surge 6 and by blue-green; and by an
update of a plain service, start-first, with the same health check as a HEALTHCHECK, one task at a time (the default) and six.
A service counts as live when all of its new tasks run, gitdeploy's when it says so. Then wrk, through the app's router, with
its only task on the router's machine and on another one; and blue-green again among 100 services and 1,000 secrets of others.
Prints medians, and the ratios.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import docker
from docker.types import EndpointSpec, Healthcheck, ServiceMode, UpdateConfig

from gitdeploy.config.sections import Swarm
from gitdeploy.engine.client import connect
from gitdeploy.engine.cluster import ServiceSpec
from gitdeploy.releases.release import APP, RELEASE, ROLE, SERVICE
from gitdeploy.targets.swarm.services import LIVE
from tests.bench.rollout import Timed, wrk
from tests.engine.swarm import nobody
from tests.support.cluster import SwarmNodes
from tests.support.net import free_port, isolate_network, wait_until
from tests.targets.docker.rollout.interposed import Interposed
from tests.targets.swarm.conftest import images
from tests.targets.swarm.fleet import ClusterSite

REPLICAS = 6
OTHERS = 100
SECOND = 10**9


def by_gitdeploy(site: ClusterSite, strategy: str, runs: int) -> float:
    """The median of the seconds until a new release serves."""
    health = replace(site.app.health, path="/", interval=0.5)
    site.configure(strategy=strategy, replicas=REPLICAS, max_surge=REPLICAS, hold=0.0, health=health)
    site.deploy("0")
    seconds = []
    for number in range(runs):
        site.output = Timed()
        began = time.monotonic()
        site.deploy(f"{number + 1}")
        seconds.append(site.output.served - began)
    return statistics.median(seconds)


def by_update(client: docker.DockerClient, image: str, parallelism: int, runs: int) -> float:
    """The median of the seconds until all tasks of an updated service are new and run."""
    check = Healthcheck(test=["CMD", "wget", "-qO-", "http://127.0.0.1:80/"], interval=SECOND // 2, timeout=SECOND, retries=3)
    spec = {
        "name": f"plain-{parallelism}",
        "endpoint_spec": EndpointSpec(mode="dnsrr"),
        "mode": ServiceMode("replicated", REPLICAS),
        "update_config": UpdateConfig(parallelism=parallelism, order="start-first", monitor=SECOND),
        "healthcheck": check,
        "stop_grace_period": SECOND,
    }
    service = client.services.create(image, env=["VERSION=0", "PORTS=80"], **spec)

    def live(version: int) -> bool:
        tasks = service.tasks(filters={"desired-state": "running"})
        new = [t for t in tasks if f"VERSION={version}" in t["Spec"]["ContainerSpec"]["Env"]]
        return sum(task["Status"]["State"] == "running" for task in new) == REPLICAS

    wait_until(lambda: live(0), 120, "the plain service")
    seconds = []
    for number in range(1, runs + 1):
        service.reload()
        began = time.monotonic()
        service.update(image=image, env=[f"VERSION={number}", "PORTS=80"], **spec)
        wait_until(lambda version=number: live(version), 300, "its update")
        seconds.append(time.monotonic() - began)
        time.sleep(3)  # for the update's own end
    service.remove()
    return statistics.median(seconds)


@contextmanager
def asked(site: ClusterSite) -> Iterator[dict[str, list[float]]]:
    """How long gitdeploy waits for each kind of answer from the engine and the cluster: the seconds of each call."""
    real, found, began = site.engine, {}, {}
    watched = Interposed(real)

    def before(name: str, arguments: object) -> None:
        began[name] = time.monotonic()

    def after(name: str, arguments: object) -> None:
        found.setdefault(name, []).append(time.monotonic() - began[name])

    watched.before, watched.after = before, after
    site.engine = watched
    yield found
    site.engine = real


def rate(site: ClusterSite, machine: str) -> float:
    """Requests per second through the router to a task on that machine."""
    site.configure(strategy="rolling", replicas=1, max_surge=1, swarm=Swarm(constraints=(f"node.hostname=={machine}",)))
    site.deploy(machine)
    assert site.where() == [machine]
    with wrk(site.url, 16, 5) as report:
        pass
    found = re.search(r"Requests/sec: +(\S+)", "\n".join(report))
    return float(found[1]) if found else 0.0


def among_others(site: ClusterSite, runs: int) -> tuple[float, float]:
    """The median of the seconds until a release serves, without and with 100 services of others, and their 1,000 secrets."""
    site.configure(swarm=Swarm())
    alone = by_gitdeploy(site, "blue-green", runs)
    for number in range(OTHERS):
        labels = {APP: f"bench/other-{number}", ROLE: SERVICE, RELEASE: "1", LIVE: "1"}
        site.cluster.create_service(
            ServiceSpec(f"other-{number}", site.swarm.image("busybox"), replicas=0, labels=labels), nobody
        )
        for secret in range(10):
            site.cluster.create_secret(f"other-{number}-{secret}", b"hush", {APP: f"bench/other-{number}"})
    return alone, by_gitdeploy(site, "blue-green", runs)


def main(runs: int) -> None:
    """Runs all of it."""
    with SwarmNodes(3) as swarm, swarm.client() as client:
        image, haproxy = images(swarm)
        engine = connect({"DOCKER_HOST": swarm.manager.url})
        site = ClusterSite(swarm, engine, image, "bench/cluster", free_port(), haproxy)
        digest = next(name for name in client.images.get(image).attrs["RepoDigests"] if name.startswith(site.app.image))
        ways: dict[str, Callable[[], float]] = {
            "rolling, max_surge 6": lambda: by_gitdeploy(site, "rolling", runs),
            "blue-green": lambda: by_gitdeploy(site, "blue-green", runs),
            "start-first, 6 at a time": lambda: by_update(client, digest, REPLICAS, runs),
            "start-first, 1 at a time": lambda: by_update(client, digest, 1, runs),
        }
        seconds = {name: way() for name, way in ways.items()}
        for name, median in seconds.items():
            ratios = [f"{median / seconds[way]:>6.2f} of {way}" for way in list(seconds)[2:]]
            print(f"{name:<26}{median:>8.2f} s {', '.join(ratios)}", flush=True)
        print("what it asks in a first deployment and a second one:")
        with asked(site) as calls:
            by_gitdeploy(site, "rolling", 1)
        for name, each in sorted(calls.items(), key=lambda call: -sum(call[1])):
            print(f"    {name:<22}{len(each):>4} calls, {sum(each):>6.2f} s, median {statistics.median(each):.3f} s")
        own, other = rate(site, "node1"), rate(site, "node2")
        print(f"tasks on another machine: {other:.0f} of {own:.0f} requests/s: {other / own:.2f}", flush=True)
        alone, among = among_others(site, runs)
        print(f"among {OTHERS} services of others: {among:.2f} s, alone {alone:.2f} s: {among / alone:.2f}")
        print(f"engine {client.version()['Version']}, {runs} runs of each")
        site.remove()
        engine.close()


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
