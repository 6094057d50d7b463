"""What a redeployment costs those who use the app: each strategy under load, against a bare `docker stop` and `docker start`.

    python -m tests.bench.rollout [RUNS]

The clients: wrk on 8 keep-alive connections, one that opens a connection for every request, one 10-second request after the
other, and a WebSocket that counts. A WebSocket that outlives the drain limit is cut then and not before, counted apart.
After that: what HAProxy costs, with an app that does nothing.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import docker

from gitdeploy.config.attachments import Publish
from gitdeploy.config.sections import Canary
from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from tests.bench.ground import ground
from tests.support.images import BaseImages
from tests.support.net import free_port, isolate_network
from tests.support.prober import Prober
from tests.targets.docker.rollout.clients import Slow, WebSocket
from tests.targets.docker.rollout.conftest import build, build_server
from tests.targets.docker.rollout.site import Lines, Site

DRAIN = 15.0
"""Seconds of drain_timeout: more than the slow requests take."""

NULL_APP = """\
FROM {base}
RUN printf '%s\\n' 'defaults' '    mode http' '    timeout client 1m' '    timeout server 1m' '    timeout connect 1s' \\
    'frontend f' '    bind :80' '    http-request return status 200 content-type text/plain string ok' > /tmp/app.cfg
EXPOSE 80
CMD ["haproxy", "-f", "/tmp/app.cfg"]
"""


class Timed(Lines):
    """Remembers when a deployment said that it serves, and when one cut what was still running at the drain limit."""

    def __init__(self) -> None:
        super().__init__()
        self.served = 0.0
        self.limits: list[float] = []

    def line(self, text: str, *, detail: bool = False) -> None:
        super().line(text, detail=detail)
        if text.endswith(" serves"):
            self.served = time.monotonic()
        elif text.endswith(" are cut"):
            self.limits.append(time.monotonic())


class Slow10(Slow):
    path = "/slow/10"


class Socket(WebSocket):
    """Notes when it was cut."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.cuts: list[float] = []

    def work(self) -> None:
        try:
            super().work()
        except OSError:
            self.cuts.append(time.monotonic())
            raise


@dataclass
class Result:
    """What the clients of one strategy met.

    Attributes:
        stages: seconds from the start of each deployment until all requests went to the new release.
        cut_at_limit: WebSockets that were still there after the drain limit.
    """

    sent: int = 0
    failed: int = 0
    gap: float = 0.0
    cut_at_limit: int = 0
    stages: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        stage = statistics.median(self.stages)
        return f"{name:<24}{self.sent:>9}{self.failed:>8}{self.gap:>10.3f} s{self.cut_at_limit:>9}{stage:>12.2f} s"


@contextmanager
def wrk(url: str, connections: int, seconds: float = 0) -> Iterator[list[str]]:
    """Runs wrk for so long, or until the context ends; its report is in the list after that."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds or 36000}s", "--latency", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    report: list[str] = []
    yield report
    if not seconds:
        process.send_signal(signal.SIGINT)
    report += process.communicate()[0].splitlines()


def wrk_failures(report: list[str]) -> tuple[int, int]:
    """Requests and failures, from wrk's report."""
    text = "\n".join(report)
    sent = re.search(r"(\d+) requests in", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    status = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = sum(map(int, errors.groups())) if errors else 0
    return int(sent[1]) if sent else 0, failed + (int(status[1]) if status else 0)


def under_load(site: Site, deploy: Callable[[int], None], runs: int) -> Result:
    """Deploys so many times while all clients work."""
    result = Result()
    output = site.output = Timed()
    slow, socket, prober = Slow10(site.port), Socket(site.port), Prober(site.url, pause=0.005, timeout=30)
    with wrk(site.url, 8) as report, slow, socket, prober:
        time.sleep(1)
        for number in range(runs):
            began = time.monotonic()
            deploy(number)
            result.stages.append((output.served if output.served > began else time.monotonic()) - began)
            time.sleep(1)
        for client in (slow, socket):
            client.stopping.set()
    sent, failed = wrk_failures(report)
    late = [cut for cut in socket.cuts if any(0 <= cut - limit < 5 for limit in output.limits)]
    result.cut_at_limit = len(late)
    result.sent = sent + slow.sent + socket.sent + prober.findings.sent
    result.failed = failed + slow.errors.total() + socket.errors.total() - len(late) + prober.findings.failed
    result.gap = prober.findings.longest_gap
    return result


def strategies(site: Site, runs: int) -> None:
    print(f"{'':<24}{'sent':>9}{'failed':>8}{'longest gap':>12}{'at limit':>9}{'image to live':>14}")
    for name, replicas in (("recreate", 1), ("rolling", 1), ("rolling", 2), ("blue-green", 1), ("canary", 1)):
        site.configure(strategy=name, replicas=replicas, canary=Canary(weight=(10, 50), duration=2.0))
        site.deploy("0")
        result = under_load(site, lambda number: void(site.deploy(f"{number + 1}")), runs)
        print(result.row(name + (f", {replicas} replicas" if replicas > 1 else "")), flush=True)
        if name == "recreate":
            container = site.app.container

            def bare(number: int, container: str = container) -> None:
                for verb in ("stop", "start"):
                    subprocess.run(["docker", verb, container], check=True, stdout=subprocess.DEVNULL)

            print(under_load(site, bare, runs).row("docker stop, docker start"), flush=True)


def void(_: object) -> None:
    """For what is done for its effect."""


def haproxys_cost(engine: Engine, client: docker.DockerClient, base: BaseImages) -> None:
    """wrk on an app that does nothing, directly and through the router, both at the host's address."""
    build(client, NULL_APP.format(base=base.haproxy), {}, "gitdeploy-test/null:1")
    for name, strategy in (("directly", "recreate"), ("through HAProxy", "blue-green")):
        site = Site(engine, "gitdeploy-test/null:1", f"bench/{strategy}", free_port(), base.haproxy)
        site.configure(strategy=strategy)
        site.deploy("1")
        networks = client.containers.get(site.app.container).attrs["NetworkSettings"]["Networks"]
        gateway = next(iter(networks.values()))["Gateway"]  # past Docker's proxy for connections to 127.0.0.1
        with wrk(f"http://{gateway}:{site.port}/", 16, 5) as report:
            pass
        text = "\n".join(report)
        rate, median = re.search(r"Requests/sec: +(\S+)", text), re.search(r"50% +(\S+)", text)
        print(f"{name:<24}{float(rate[1]) if rate else 0:>9.0f} requests/s, median {median[1] if median else '?'}", flush=True)
        remove(engine, site)


def remove(engine: Engine, site: Site) -> None:
    for container in engine.containers({"gitdeploy.app": site.app.name}):
        engine.remove(container.id, force=True)


def main(runs: int) -> None:
    with ground() as (_, client):
        base = BaseImages()
        build_server(client, base.python)
        engine = connect(os.environ)
        site = Site(engine, "gitdeploy-test/rollout:1", "bench/app", free_port(), base.haproxy)
        site.configure(router=replace(site.app.router, drain_timeout=DRAIN), publish=(Publish("", site.port, 80),))
        print(f"engine {client.version()['Version']}, {runs} redeployments each under load\n")
        strategies(site, runs)
        print()
        haproxys_cost(engine, client, base)


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
