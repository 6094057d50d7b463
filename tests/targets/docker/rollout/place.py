"""An app of a `Site` as the targets' contract sees it, whatever the site runs on."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import docker

from gitdeploy.engine.types import ContainerSpec, Image
from gitdeploy.releases.release import APP, TASK
from gitdeploy.targets.accessory import WantedAccessory
from gitdeploy.targets.target import Outcome
from tests.support.net import get
from tests.support.targets import target_on
from tests.targets.contract import Place
from tests.targets.docker.accessories import die_replacing, forget_accessories
from tests.targets.docker.rollout.site import Site


class SitePlace(Place):
    """An app on a Docker Engine, or on a cluster of them."""

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
            return get(self.url, timeout=2.0)
        except (OSError, http.client.HTTPException):
            return ""

    @property
    def url(self) -> str:
        return self._site.url

    def image(self) -> str:
        return self.found_image().id

    def found_image(self) -> Image:
        image = self._site.engine.image(self._site.image)
        assert image
        return image

    def die(self, wanted: WantedAccessory, *, proved: bool) -> None:
        die_replacing(self._site.engine, wanted, proved=proved)

    def occupy(self) -> str:
        self.strangers.append(self._site.engine.create(ContainerSpec(self.app.container, self._site.image)))
        return self.app.container

    def signal_task(self) -> None:
        (task,) = (c for c in self._site.engine.containers({TASK: ""}) if c.labels[APP] == self.app.name and c.running)
        self._site.engine.signal(task.id, "USR1")

    def said(self) -> str:
        return self._site.output.text

    def recover(self) -> int:
        return self.target.recover(self.app, self._site.output)

    def settle(self) -> float:
        return self.target.settle(self.app, self._site.output)


@contextmanager
def place_of(site: Site, client: docker.DockerClient) -> Iterator[SitePlace]:
    """A site's app as a place; what it has beside its releases is removed in the end."""
    place = SitePlace(site)
    yield place
    place.target.drop_tasks(place.app, ())
    for container in place.strangers:
        site.engine.remove(container, force=True)
    forget_accessories(client, site.app.name)
