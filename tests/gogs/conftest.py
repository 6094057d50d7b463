"""Fixtures of the tests on real Git servers: those that GITDEPLOY_GOGS_BIN and GITDEPLOY_GITEA_BIN name; others are counted.

Each test runs twice for each: in direct mode with the server on this machine, and in agent mode with the server in a container
without Python.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support import agent as agents
from tests.support import gogs_container, guards
from tests.support.apps import SampleApp
from tests.support.gogs import Gogs
from tests.support.images import BaseImages
from tests.support.installed import install
from tests.support.net import get, wait_until
from tests.support.real_gitea import RealGitea
from tests.support.real_gogs import RealGogs
from tests.support.realserver import USER, RealServer, serve, serve_in_container
from tests.support.registry import Registry

# Before the tests' own guard clears the environment.
BINARIES = {"gogs": os.environ.get("GITDEPLOY_GOGS_BIN", ""), "gitea": os.environ.get("GITDEPLOY_GITEA_BIN", "")}
KINDS: dict[str, type[RealServer]] = {"gogs": RealGogs, "gitea": RealGitea}
PLACES = {"gogs": gogs_container.BINARY, "gitea": Path("/app/gitea/gitea")}
IMAGE = "gitdeploy-test/real-server:1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves these tests out where there is no such server."""
    here = Path(__file__).parent
    left_out = [item for item in items if item.path.is_relative_to(here) and not _runs(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _runs(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)  # pytest.Function's own
    kind = callspec.params["site"].partition(" ")[0] if callspec else "gogs"
    return bool(BINARIES[kind])


@dataclass(frozen=True)
class Site:
    """A Git server with gitdeploy beside it.

    Attributes:
        mode: "direct" or "agent".
        run: gitdeploy's command line: its arguments and, as `check`, the exit status to expect; returns what it printed.
        log: returns gitdeploy's own log.
    """

    server: RealServer
    mode: str
    run: Callable[..., str]
    log: Callable[[], str]

    def history(self, app: str) -> list[dict[str, Any]]:
        """The app's deployments, newest first."""
        found: list[dict[str, Any]] = json.loads(self.run("history", app, "--json"))
        return found

    @property
    def waiting(self) -> list[Path]:
        """The pushes in the spool."""
        return list((self.server.data.data / "gitdeploy/spool").glob("*.push"))


def data_directory(kind: str, directory: Path, *, container: bool) -> Gogs:
    """Where a server of this kind keeps its data, as in its official images."""
    binary = PLACES[kind] if container else Path(BINARIES[kind])
    data, seen = directory / "data", gogs_container.SEEN if container else directory / "data"
    owner = 1000 if container else os.geteuid()
    if kind == "gitea":
        return Gogs(data, owner, seen, binary, "gitea/conf/app.ini", "git/repositories")
    return Gogs(data, owner, seen, binary)


@pytest.fixture(scope="session", params=["gogs direct", "gogs agent", "gitea direct", "gitea agent"])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    docker_client: docker.DockerClient,
    engine_url: str,
    base_images: BaseImages,
) -> Iterator[Site]:
    """One server for all tests of a mode."""
    kind, _, mode = request.param.partition(" ")
    if mode == "direct":
        data = data_directory(kind, tmp_path_factory.mktemp(kind), container=False)
        with serve(KINDS[kind], data, {"DOCKER_HOST": engine_url}) as server:
            installed = install(data, {"DOCKER_HOST": engine_url})
            log = installed.home / "logs/gitdeploy.log"
            said = lambda: log.read_text() if log.exists() else ""  # noqa: E731
            yield Site(server, mode, lambda *words, check=0: installed.run(*words, check=check).stdout, said)
        return
    request.getfixturevalue("agent_image")
    gogs_container.build(docker_client, IMAGE, Path(BINARIES[kind]), PLACES[kind])
    with ExitStack() as stack:
        stack.callback(docker_client.images.remove, IMAGE, force=True)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gitdeploy-test-")))
        directory.chmod(0o755)
        data = data_directory(kind, directory, container=True)
        server = stack.enter_context(serve_in_container(docker_client, IMAGE, KINDS[kind], data))
        agent = stack.enter_context(agents.agent(docker_client, engine_url, data, str(data.data)))
        yield Site(server, mode, agent.run, lambda: agent.container.logs().decode())


@dataclass(frozen=True)
class Deployable:
    """An enrolled app with its repository in the Git server."""

    name: str
    url: str
    clone: SampleApp
    site: Site

    @property
    def server(self) -> RealServer:
        """The Git server that keeps it."""
        return self.site.server

    @property
    def repository(self) -> Path:
        """Its bare repository."""
        return self.server.data.repository(self.name)

    def live(self, version: str) -> None:
        """Waits until this version answers and nothing is under way."""
        wait_until(lambda: self.site.history(self.name)[:1] and self._done(version), 60, f"{version}:\n{self.site.log()}")
        assert get(self.url).strip() == f"dev-app {version}"

    def _done(self, version: str) -> bool:
        newest = self.site.history(self.name)[0]
        return (newest["version"], newest["status"]) == (version, "succeeded") and not self.site.waiting

    def told(self) -> list[tuple[str, str]]:
        """How each deployment came about and ended, newest first."""
        return [(d["trigger"], d["status"]) for d in self.site.history(self.name)]


@pytest.fixture
def app(
    site: Site,
    sample_app: SampleApp,
    registry: Registry,
    docker_client: docker.DockerClient,
    app_name: str,
    free_port: int,
) -> Iterator[Deployable]:
    """An app that nobody has pushed yet."""
    name = site.server.create_repository(app_name.partition("/")[2])
    assert name.startswith(USER)
    with enrolled(site, name, sample_app, registry, docker_client, free_port) as made:
        yield made


@contextmanager
def enrolled(
    site: Site, name: str, clone: SampleApp, registry: Registry, client: docker.DockerClient, port: int
) -> Iterator[Deployable]:
    """An app of that name, enrolled until the context ends."""
    container, publish = name.replace("/", "-"), f"127.0.0.1:{port}:80"
    site.run("enrol", name, "--image", f"{registry.host}/{name}", "--container", container, "--publish", publish)
    yield Deployable(name, f"http://127.0.0.1:{port}", clone, site)
    guards.remove_app(client, name)
