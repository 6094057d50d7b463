"""What benchmarks with an engine stand on: a private one with the base images, a home without a person's settings."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from tests.support.engine import PrivateEngine
from tests.support.guards import GIT_CONFIG
from tests.support.images import RECIPES, archive


@contextmanager
def ground(private: PrivateEngine | None = None) -> Iterator[tuple[Path, docker.DockerClient]]:
    """An empty directory, and the client of an engine that DOCKER_HOST names until the context ends: the installed one if no
    other is given."""
    with tempfile.TemporaryDirectory(prefix="gitdeploy-bench-") as name, private or PrivateEngine() as engine:
        home = Path(name, "home")
        home.mkdir()
        (home / ".gitconfig").write_text(GIT_CONFIG)
        os.environ.update(DOCKER_HOST=engine.url, HOME=str(home), DOCKER_CONFIG=str(home))
        client = docker.DockerClient(base_url=engine.url, timeout=120)
        for recipe in RECIPES:
            client.images.load(archive(recipe, Path(".cache/tests/images")).read_bytes())
        yield Path(name), client
