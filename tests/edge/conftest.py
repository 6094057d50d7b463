"""Real apps behind a real HAProxy; a store, and a real authority with names that lead to this machine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.edge import pem
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.engine.client import connect
from tests.edge.stage import Stage
from tests.support.acme_authority import Answerer, Authority, answering, serve
from tests.support.images import BaseImages
from tests.support.net import free_port, is_isolated

NAMES = tuple(f"{name}.example.test" for name in ("shop", "www", "blog", "wiki"))


@pytest.fixture
def said() -> list[str]:
    """What was said, a line each."""
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> CertificateStore:
    """An empty store in tmp_path/edge."""
    return CertificateStore(tmp_path / "edge", said.append)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """Caddy, which issues certificates for NAMES that last 12 hours."""
    if not is_isolated():
        pytest.skip("port 80, and names that only the authority knows, need root and a network of the tests' own")
    with serve(tmp_path_factory.mktemp("authority") / "caddy", names=NAMES) as running:
        yield running


@pytest.fixture
def answerer(authority: Authority, store: CertificateStore) -> Iterator[Answerer]:
    """Who answers challenges of this store's account."""
    with answering(pem.thumbprint(store.account_key())) as running:
        yield running


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
