"""Real apps on networks of their own, and a real HAProxy in front of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.edge.haproxyedge import HaproxyEdge
from gitdeploy.edge.route import Route, Rules, Upstream
from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from tests.support.images import BaseImages
from tests.support.net import free_port
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


@pytest.fixture
def new_name() -> Callable[[], str]:
    """Names for apps that nobody else has."""
    return lambda: f"e{uuid.uuid4().hex[:8]}"


@pytest.fixture
def stage(engine_url: str, docker_client: docker.DockerClient, base_images: BaseImages) -> Iterator[Stage]:
    """An engine without an edge."""
    engine = connect({"DOCKER_HOST": engine_url})
    settings = EdgeSettings(image=base_images.haproxy, http_port=free_port(), https_port=free_port())
    made = Stage(engine, docker_client, base_images.python, settings)
    yield made
    made.edge.remove()
    for container in docker_client.containers.list(all=True, filters={"label": "gitdeploy.edge-test"}):
        container.remove(force=True)
    for network in docker_client.networks.list(filters={"label": "gitdeploy.edge-test"}):
        network.remove()
    engine.close()
