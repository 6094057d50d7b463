"""A Docker Engine is a target as the others are."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from threading import Event

import pytest

from gitdeploy.engine.types import ContainerSpec
from gitdeploy.targets.target import Outcome
from tests.support.net import get
from tests.support.targets import target_on
from tests.targets.contract import Place, TargetContract
from tests.targets.docker.rollout.site import Site


class Engine(Place):
    """An app on a Docker Engine."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.app = site.app
        self.target = target_on(site.engine)
        self.output = site.output
        self.strangers: list[str] = []

    def deploy(
        self, version: str, release: int, *, cancel: Event | None = None, healthy: bool = True, reuse: int = 0
    ) -> Outcome:
        self._site.app = self.app
        return self._site.deploy(version, release=release, cancel=cancel, reuse=reuse, PORTS="80" if healthy else "")

    def answer(self) -> str:
        try:
            return get(self._site.url, timeout=2.0)
        except (OSError, http.client.HTTPException):
            return ""

    def image(self) -> str:
        image = self._site.engine.image(self._site.image)
        assert image
        return image.id

    def occupy(self) -> str:
        self.strangers.append(self._site.engine.create(ContainerSpec(self.app.container, self._site.image)))
        return self.app.container

    def recover(self) -> int:
        return self.target.recover(self.app, self._site.output)

    def settle(self) -> float:
        return self.target.settle(self.app, self._site.output)


@pytest.fixture
def place(site: Site) -> Iterator[Place]:
    """An app that was never deployed."""
    engine = Engine(site)
    yield engine
    for container in engine.strangers:
        site.engine.remove(container, force=True)


class TestDocker(TargetContract):
    """On a real engine."""
