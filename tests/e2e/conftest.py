"""Fixtures of the end-to-end tests: an installation, and an app in it under a name of its own."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import pytest

from tests.support import gogs, guards
from tests.support.apps import SampleApp
from tests.support.images import BaseImages
from tests.support.installed import Installed, install
from tests.support.registry import Registry

BUSYBOX_DOCKERFILE = """\
FROM gitdeploy-test/busybox:1
COPY . /www
WORKDIR /www
RUN cp VERSION index.html
STOPSIGNAL SIGKILL
EXPOSE 80
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
"""
"""Of an app that answers with its VERSION, and ends at once."""


@dataclass(frozen=True)
class Deployable:
    """An enrolled app.

    Attributes:
        name: "owner/repo".
        image: its image reference, in the test's registry.
        container: its container's name.
        url: where it answers.
        remote: where to push.
    """

    name: str
    image: str
    container: str
    url: str
    remote: gogs.Remote
    clone: SampleApp
    site: Installed

    def get(self, path: str = "/") -> str:
        """What the app answers."""
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return str(answer.read().decode().strip())


@pytest.fixture
def installed(gogs_dir: gogs.Gogs, engine_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """gitdeploy in `gogs_dir`, on the test's engine."""
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    site = install(gogs_dir, {"DOCKER_HOST": engine_url})
    yield site
    site.kill_workers()


@pytest.fixture
def app(
    installed: Installed,
    sample_app: SampleApp,
    registry: Registry,
    base_images: BaseImages,
    docker_client: docker.DockerClient,
    app_name: str,
    free_port: int,
) -> Iterator[Deployable]:
    """An app that nobody has pushed yet."""
    container = app_name.replace("/", "-")
    image = f"{registry.host}/{app_name}"
    installed.enrol(app_name, image, free_port, container=container)
    remote = installed.gogs.local(app_name)
    yield Deployable(app_name, image, container, f"http://127.0.0.1:{free_port}", remote, sample_app, installed)
    guards.remove_app(docker_client, app_name)


@pytest.fixture
def running(app: Deployable) -> Deployable:
    """The app with 1.0.0 running."""
    app.clone.release("1.0.0")
    assert "is live" in app.clone.push(app.remote).text
    return app
