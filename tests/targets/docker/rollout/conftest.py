"""Fixtures of rollouts on a real engine."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import pytest

from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from gitdeploy.targets.strategies import draining
from tests.support import guards
from tests.support.images import BaseImages
from tests.support.net import free_port as find_free_port
from tests.targets.docker.rollout.site import Site

DOCKERFILE = """\
FROM {base}
COPY server.py /server.py
EXPOSE 80
CMD ["python3", "-u", "/server.py"]
"""


def build(client: docker.DockerClient, dockerfile: str, files: Mapping[str, Path], tag: str) -> str:
    """Builds an image from a Dockerfile and files of this machine (name → path); returns its tag."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        tar.addfile(entry, io.BytesIO(dockerfile.encode()))
        for name, path in files.items():
            tar.add(path.resolve(), name)
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True)
    return tag


def build_server(client: docker.DockerClient, base: str) -> str:
    """An image of tests/targets/docker/rollout/server.py."""
    files = {"server.py": Path(__file__).with_name("server.py")}
    return build(client, DOCKERFILE.format(base=base), files, "gitdeploy-test/rollout:1")


@pytest.fixture(scope="session")
def server_image(docker_client: docker.DockerClient, base_images: BaseImages) -> Iterator[str]:
    """The test application."""
    tag = build_server(docker_client, base_images.python)
    yield tag
    docker_client.images.remove(tag)


@pytest.fixture(scope="session")
def engine(engine_url: str) -> Iterator[Engine]:
    """gitdeploy's own client."""
    engine = connect({"DOCKER_HOST": engine_url})
    yield engine
    engine.close()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a switch the old release stays for less time than it would for people."""
    monkeypatch.setattr(draining, "WATCH", 0.4)
    monkeypatch.setattr(draining, "FOLLOW", 1.2)


@pytest.fixture(scope="module")
def shared_site(
    engine: Engine, server_image: str, base_images: BaseImages, docker_client: docker.DockerClient
) -> Iterator[Site]:
    """An app for the tests of one file that leave it with a release live, as `live` gives it to them."""
    name = f"devops/shared-{uuid.uuid4().hex[:8]}"
    yield Site(engine, server_image, name, find_free_port(), base_images.haproxy)
    guards.remove_app(docker_client, name)


@pytest.fixture
def live(shared_site: Site) -> Site:
    """An app with a release live, blue-green."""
    shared_site.start_over()
    return shared_site


@pytest.fixture
def site(engine: Engine, server_image: str, base_images: BaseImages, app_name: str, free_port: int) -> Site:
    """An app that was never deployed."""
    return Site(engine, server_image, app_name, free_port, base_images.haproxy)
