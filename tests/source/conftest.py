"""Fixtures of contexts that are built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gitdeploy.releases.state import State
from tests.source.building import Site
from tests.support.gitrepo import GitRepo


@pytest.fixture
def site(docker_client: docker.DockerClient, engine_url: str, open_path: Path) -> Iterator[Site]:
    with State(open_path / "state.db") as state:
        made = Site(GitRepo(open_path / "app.git"), docker_client, state, engine_url)
        yield made
        for image in docker_client.images.list(name=made.tag.partition(":")[0]):
            docker_client.images.remove(image.id, force=True)
