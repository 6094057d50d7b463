"""Fixtures: an engine, images and a registry for the whole session; Git servers, apps and guards for each test.

What they hand out lives in tests/support/, one topic per file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.support.engine import PrivateEngine, isolate_network
from tests.support.images import RECIPES, BaseImages, archive
from tests.support.net import free_port as find_free_port
from tests.support.registry import Registry, serve

CACHE = Path(__file__).parent.parent / ".cache" / "tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options that tests/run passes on."""
    group = parser.getgroup("gitdeploy")
    group.addoption("--exhaustive", action="store_true", help="also run tests marked `exhaustive`, and more random examples")
    group.addoption("--engine-root", type=Path, help="take dockerd from the Debian packages unpacked in this directory")
    group.addoption("--engine-feature", action="append", default=[], help="passed to the private dockerd as --feature")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers; leaves the machine's network before anything listens, unless an engine of it was given."""
    config.addinivalue_line("markers", "engine: needs a container engine (set by itself on every test that uses one)")
    config.addinivalue_line("markers", "exhaustive: takes long, runs with --exhaustive only")
    if not os.environ.get("DOCKER_HOST"):
        isolate_network()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests that use an engine; sorts out the long ones."""
    for item in items:
        if "engine_url" in getattr(item, "fixturenames", ()):
            item.add_marker("engine")
    if not config.getoption("--exhaustive"):
        long = [item for item in items if item.get_closest_marker("exhaustive")]
        if long:
            config.hook.pytest_deselected(items=long)
            items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def engine_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """DOCKER_HOST: the engine that was given, else a private one for this session."""
    given = os.environ.get("DOCKER_HOST")
    if given:
        yield given
        return
    private = PrivateEngine(pytestconfig.getoption("--engine-root"), tuple(pytestconfig.getoption("--engine-feature")))
    with private, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", private.url)
        yield private.url


@pytest.fixture(scope="session")
def docker_client(engine_url: str) -> Iterator[docker.DockerClient]:
    """The SDK's own client, to look at the engine independently of gitdeploy."""
    client = docker.DockerClient(base_url=engine_url, timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_images(docker_client: docker.DockerClient) -> BaseImages:
    """Small base images (busybox, python, haproxy), loaded into the engine."""
    base = BaseImages()
    for name in RECIPES:
        with archive(name, CACHE / "images").open("rb") as file:
            docker_client.images.load(file)
    return base


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that anyone may push to."""
    with serve(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def registry_auth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that wants a login; `docker_config()` of it is one."""
    with serve(tmp_path_factory.mktemp("registry-auth"), "pusher", "correct horse") as running:
        yield running


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    return find_free_port()
