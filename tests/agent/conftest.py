"""Fixtures: the agent's image, an agent at a Git server that runs as user 1000, and an app of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.support import agent as agents
from tests.support import guards, sshd
from tests.support.agent import Agent
from tests.support.apps import SampleApp
from tests.support.gogs import Gogs, Remote
from tests.support.registry import Registry


@pytest.fixture
def agent(docker_client: docker.DockerClient, engine_url: str, agent_image: None, gogs_dir_of_git: Gogs) -> Iterator[Agent]:
    """An agent that runs."""
    with agents.agent(docker_client, engine_url, gogs_dir_of_git) as running:
        yield running


@dataclass(frozen=True)
class Deployable:
    """An enrolled app of the agent's."""

    name: str
    url: str
    remote: Remote
    clone: SampleApp
    agent: Agent

    @property
    def repository(self) -> Path:
        """Its bare repository."""
        return self.agent.gogs.repository(self.name)


@pytest.fixture
def app(
    agent: Agent, sample_app: SampleApp, registry: Registry, app_name: str, free_port: int, open_path: Path
) -> Iterator[Deployable]:
    """An app that nobody has pushed yet, to be pushed over SSH."""
    agent.gogs.create_repository(app_name)
    container = app_name.replace("/", "-")
    image = f"{registry.host}/{app_name}"
    agent.run("enrol", app_name, "--image", image, "--container", container, "--publish", f"127.0.0.1:{free_port}:80")
    (open_path / "sshd").mkdir()
    with sshd.serve(agent.gogs, open_path / "sshd", guards.server_environment()) as server:
        yield Deployable(app_name, f"http://127.0.0.1:{free_port}", server.remote(app_name), sample_app, agent)
