"""Fixtures of the tests on a real Gogs. They run when GITDEPLOY_GOGS_BIN names one, else they are left out, and counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.support import guards
from tests.support.apps import SampleApp
from tests.support.images import BaseImages
from tests.support.installed import Installed, install
from tests.support.net import get, wait_until
from tests.support.real_gogs import USER, RealGogs, serve
from tests.support.registry import Registry

BINARY = os.environ.get("GITDEPLOY_GOGS_BIN", "")  # before the tests' own guard clears the environment


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves these tests out where there is no Gogs."""
    here = Path(__file__).parent
    left_out = [item for item in items if item.path.is_relative_to(here) and not BINARY]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def real_gogs(tmp_path_factory: pytest.TempPathFactory, engine_url: str) -> Iterator[RealGogs]:
    """One Gogs for all tests, whose hooks reach the test's engine."""
    with serve(Path(BINARY), tmp_path_factory.mktemp("gogs"), {"DOCKER_HOST": engine_url}) as running:
        yield running


@pytest.fixture(scope="session")
def installed(real_gogs: RealGogs, engine_url: str) -> Installed:
    """gitdeploy in its data directory, in direct mode."""
    return install(real_gogs.gogs, {"DOCKER_HOST": engine_url})


@dataclass(frozen=True)
class Deployable:
    """An enrolled app with its repository in Gogs."""

    name: str
    url: str
    clone: SampleApp
    gogs: RealGogs
    site: Installed

    def live(self, version: str) -> None:
        """Waits until this version answers and nothing is under way."""
        wait_until(lambda: self.site.history(self.name)[:1] and self._done(version), 60, f"{version}:\n{self._report()}")
        assert get(self.url).strip() == f"dev-app {version}"

    def _done(self, version: str) -> bool:
        newest = self.site.history(self.name)[0]
        waits = list((self.site.home / "spool").glob("*.push"))
        return (newest["version"], newest["status"]) == (version, "succeeded") and not waits

    def _report(self) -> str:
        log = self.site.home / "logs/gitdeploy.log"
        return log.read_text() if log.exists() else "no log"

    def told(self) -> list[tuple[str, str]]:
        """How each deployment came about and ended, newest first."""
        return [(d["trigger"], d["status"]) for d in self.site.history(self.name)]


@pytest.fixture
def app(
    real_gogs: RealGogs,
    installed: Installed,
    sample_app: SampleApp,
    registry: Registry,
    base_images: BaseImages,
    docker_client: docker.DockerClient,
    app_name: str,
    free_port: int,
) -> Iterator[Deployable]:
    """An app that nobody has pushed yet."""
    name = real_gogs.create_repository(app_name.partition("/")[2])
    container = name.replace("/", "-")
    image = f"{registry.host}/{name}"
    installed.run("enrol", name, "--image", image, "--container", container, "--publish", f"127.0.0.1:{free_port}:80")
    assert name.startswith(USER)
    yield Deployable(name, f"http://127.0.0.1:{free_port}", sample_app, real_gogs, installed)
    guards.remove_app(docker_client, name)
