"""Real apps on networks of their own, and a real HAProxy in front of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import docker

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.edge.haproxyedge import HaproxyEdge
from gitdeploy.edge.route import Route, Rules, Upstream
from gitdeploy.engine.protocol import Engine
from tests.targets.docker.rollout import clients

SERVER = Path(clients.__file__).with_name("server.py").read_text()
PLAIN = Rules(secure=False)


class Said:
    """What the edge said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, key: str, text: str) -> None:
        pass


@dataclass
class Stage:
    """An engine with an edge that a test tells what to do.

    Attributes:
        settings: as they are now.
        said: what it said.
    """

    engine: Engine
    client: docker.DockerClient
    image: str
    settings: EdgeSettings
    said: Said = field(default_factory=Said)

    @property
    def edge(self) -> HaproxyEdge:
        """A new one each time, as after a crash."""
        return HaproxyEdge(self.engine, self.settings, lambda _: None, self.said)

    def start(self, name: str, networks: str = "") -> Upstream:
        """Start an app that answers its name."""
        network = networks or f"gitdeploy-{name}"
        self.engine.ensure_network(network, {"gitdeploy.edge-test": "1"})
        self.client.containers.run(
            self.image,
            ["python3", "-u", "-c", SERVER],
            name=name,
            environment={"VERSION": name},
            network=network,
            detach=True,
            labels={"gitdeploy.edge-test": "1"},
            init=True,
        )
        return Upstream(network, name, 80)

    def url(self, path: str = "/") -> str:
        """The address of the edge without TLS."""
        return f"http://127.0.0.1:{self.settings.http_port}{path}"


def route(domain: str, *upstreams: Upstream, path: str = "", rules: Rules = PLAIN) -> Route:
    """A route without TLS unless its rules say otherwise."""
    return Route(domain, path, upstreams, rules)
