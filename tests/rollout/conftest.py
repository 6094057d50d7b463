"""Fixtures of rollouts on a real engine."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gitdeploy.engine.client import connect
from gitdeploy.engine.types import Engine
from tests.rollout.site import Site
from tests.support.images import BaseImages

DOCKERFILE = """\
FROM {base}
COPY server.py /server.py
EXPOSE 80
CMD ["python3", "-u", "/server.py"]
"""


def build(client: docker.DockerClient, base: str, tag: str) -> None:
    """An image of tests/rollout/server.py."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, content in (
            ("Dockerfile", DOCKERFILE.format(base=base).encode()),
            ("server.py", Path(__file__).with_name("server.py").read_bytes()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)


@pytest.fixture(scope="session")
def server_image(docker_client: docker.DockerClient, base_images: BaseImages) -> Iterator[str]:
    """The test application."""
    tag = "gitdeploy-test/rollout:1"
    build(docker_client, base_images.python, tag)
    yield tag
    docker_client.images.remove(tag, force=True)


@pytest.fixture(scope="session")
def engine(engine_url: str) -> Iterator[Engine]:
    """gitdeploy's own client."""
    engine = connect({"DOCKER_HOST": engine_url})
    yield engine
    engine.close()


@pytest.fixture
def site(engine: Engine, server_image: str, base_images: BaseImages, app_name: str, free_port: int) -> Site:
    """An app that was never deployed."""
    return Site(engine, server_image, app_name, free_port, base_images.haproxy)
