"""What the edge costs: requests over TLS through it against nginx, and how soon a changed route is live among 200 apps.

    python -m tests.bench.edge [RUNS]

The app is nginx with a file of two bytes; wrk has 8 keep-alive connections. Before it, in turn: the edge alone, the edge and
the app's own router, and nginx with TLS, which keeps connections to the app open as the edge does. Medians.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import docker

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.model import App
from gitdeploy.config.sections import Router
from gitdeploy.edge import pem
from gitdeploy.edge.haproxyedge import HaproxyEdge
from gitdeploy.edge.route import Route, Rules, ServedCertificate, Traffic, Upstream
from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from gitdeploy.targets.check import Check
from gitdeploy.targets.router.container import create, network_name, router_name
from gitdeploy.targets.router.haproxycfg import FULL, LED, Backend, settings
from tests.bench.ground import ground
from tests.support.images import BaseImages, nginx_root
from tests.support.net import free_port, isolate_network, wait_until

NAME = "bench.example.test"
SECONDS = 8
APPS = 200
NETWORK = "gitdeploy-bench"
NGINX = """\
daemon off; error_log /dev/null; user nobody nogroup; worker_processes 2; events {{}}
http {{
    access_log off; keepalive_requests 1000000; proxy_temp_path /run;
    upstream app {{ server {app}:80; keepalive 32; keepalive_requests 1000000; }}
    server {{
        listen 443 ssl; ssl_certificate /etc/bench.pem; ssl_certificate_key /etc/bench.pem; ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass http://app; proxy_http_version 1.1;
            proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""


class Quiet:
    """An `Output` that nobody reads."""

    def line(self, text: str, *, detail: bool = False) -> None:
        pass

    def progress(self, key: str, text: str) -> None:
        pass


def load(port: int) -> tuple[float, float]:
    """Requests a second, and the 99th percentile of their time in milliseconds."""
    command = ["wrk", "-t1", "-c8", f"-d{SECONDS}s", "--latency", "-H", f"Host: {NAME}", f"https://127.0.0.1:{port}/"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in report, report
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    last = re.search(r"99%\s+([\d.]+)(us|ms|s)", report)
    assert rate and last, report
    return float(rate[1]), float(last[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[last[2]]


@dataclass(frozen=True)
class Bench:
    """An engine with the app under 200 names."""

    client: docker.DockerClient
    engine: Engine
    edge: HaproxyEdge

    def start_app(self) -> Route:
        """Start it; return the route that leads to it."""
        self.engine.ensure_network(NETWORK, {})
        app = self.client.containers.create("bench-nginx:1", name="bench-app", command=["nginx", "-c", "/etc/app.conf"])
        self.client.networks.get(NETWORK).connect(app, aliases=[f"app-{number}" for number in range(APPS)])
        app.start()
        return Route(NAME, "", (Upstream(NETWORK, "app-0", 80),), Rules())

    def start_router(self) -> Route:
        """Start a router before it; return the route that leads there."""
        image = self.edge.settings.image
        app = App("bench/app", "x", "bench-router", domains=(NAME,), port=80, strategy="rolling", router=Router(image=image))
        self.engine.ensure_network(network_name(app), {})
        self.engine.connect(network_name(app), "bench-app", ("behind-router",))
        router = create(self.engine, app, settings(app, Check("tcp", 80), 1), image, network_name(app))
        router.load([Backend("behind-router", weight=FULL)])
        router.start()
        return Route(NAME, "", (Upstream(network_name(app), router_name(app), LED),), Rules())

    def start_nginx(self, certificate: ServedCertificate) -> int:
        """Start nginx before it; return its port."""
        port = free_port()
        command = ["nginx", "-c", "/etc/front.conf"]
        front = self.client.containers.create("bench-nginx:1", command, name="bench-front", ports={"443/tcp": port})
        files = {"bench.pem": certificate.pem, "front.conf": NGINX.format(app="app-0").encode()}
        self.engine.put_files("bench-front", "/etc", files)
        self.client.networks.get(NETWORK).connect(front)
        front.start()
        return port


def main(runs: int) -> None:
    with ground() as (directory, client):
        engine = connect(os.environ)
        _make_image(client, directory)
        ports = EdgeSettings(image=BaseImages().haproxy, http_port=free_port(), https_port=free_port())
        bench = Bench(client, engine, HaproxyEdge(engine, ports, lambda _: None, Quiet()))
        made = pem.self_made((NAME,), time.time())
        certificate = ServedCertificate((), made.fingerprint, made.pem)
        ways = {"edge": bench.start_app(), "edge and router": bench.start_router()}
        nginx = bench.start_nginx(certificate)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*ways, "nginx")}
        for _ in range(runs):
            for name, route in ways.items():
                bench.edge.apply(Traffic((route,), (certificate,)))
                _await(ports.https_port)
                found[name].append(load(ports.https_port))
            found["nginx"].append(load(nginx))
        print(f"engine {client.version()['Version']}, {runs} runs each, medians; TLS, 8 keep-alive connections, wrk beside it")
        other = statistics.median(rate for rate, _ in found["nginx"])
        for name, results in found.items():
            rate, last = (statistics.median(column) for column in zip(*results, strict=True))
            print(f"{name:<18}{rate:>9.0f} requests/s{last:>9.2f} ms p99{rate / other:>8.2f} of nginx")
        _routes(bench.edge, ports, certificate, runs)
        for container in client.containers.list(all=True):
            container.remove(force=True)
        engine.close()


def _routes(edge: HaproxyEdge, ports: EdgeSettings, certificate: ServedCertificate, runs: int) -> None:
    """Change one of 400 names of 200 apps, and ask for it until it answers."""
    fixed = tuple(
        Route(f"{kind}-{number}.example.test", "", (Upstream(NETWORK, f"app-{number}", 80),), Rules(secure=False))
        for number in range(APPS)
        for kind in ("www", "shop")
    )
    edge.apply(Traffic(fixed, (certificate,)))
    times = []
    for run in range(runs * 2):
        name = f"new-{run}.example.test"
        new = Route(name, "", fixed[run].upstreams, Rules(secure=False))
        began = time.monotonic()
        edge.apply(Traffic((*fixed, new), (certificate,)))
        assert _asks(ports.http_port, name)
        times.append(time.monotonic() - began)
        edge.apply(Traffic(fixed, (certificate,)))
    among = f"{min(times):.2f} to {max(times):.2f}"
    print(f"a new name among {2 * APPS} of {APPS} apps is live after {statistics.median(times):.2f} s ({among})")


def _asks(port: int, name: str) -> bool:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {name}", f"http://127.0.0.1:{port}/"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout == "200"


def _await(port: int) -> None:
    command = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {NAME}", f"https://127.0.0.1:{port}/"]
    wait_until(lambda: subprocess.run(command, capture_output=True, text=True, check=False).stdout == "200", 20, "the edge")


def _make_image(client: docker.DockerClient, directory: Path) -> None:
    """Make an image of nginx whose /etc/app.conf serves two bytes."""
    root = nginx_root()
    serve = "events {} http { access_log off; keepalive_requests 1000000; server { listen 80; location / { return 200 ok; } } }"
    root.files["/etc/app.conf"] = (0o644, f"daemon off; error_log /dev/null; user nobody nogroup; {serve}".encode())
    archive = directory / "nginx.tar"
    archive.write_bytes(root.tar())
    client.api.import_image(src=str(archive), repository="bench-nginx", tag="1")


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
