"""What a Swarm runs on other machines, and an engine that is in none: asked once, and never mistaken for the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from gitdeploy.config.model import App
from gitdeploy.engine.cluster import ClusterService
from gitdeploy.engine.types import Image
from gitdeploy.errors import NoManager
from gitdeploy.releases.release import APP, RELEASE
from gitdeploy.targets.swarm.swarmtarget import SwarmTarget
from gitdeploy.targets.target import Here, Surroundings

APP_THERE = App("o/shop", "r/shop", "shop", target="swarm")
SERVICE = ClusterService("s", "shop-r7", {APP: "o/shop", RELEASE: "7"}, "r/shop@sha256:7", 2)
IMAGE = Image("sha256:seven", (), (), {}, (), healthcheck=False, size=1, created="")


class Played:
    """An engine without containers, and the cluster that it manages, if it manages one."""

    def __init__(self, *services: ClusterService, manager: bool = True) -> None:
        self._services = list(services)
        self._manager = manager
        self.asked = 0

    def cluster(self, patience: float = 0.0) -> Played:
        return self

    def services(self, labels: Mapping[str, str]) -> list[ClusterService]:
        self.asked += 1
        if not self._manager:
            raise NoManager("This node is not a swarm manager.", 503)
        return [s for s in self._services if all(labels[key] in ("", s.labels.get(key)) for key in labels)]

    def containers(self, labels: object) -> list[object]:
        self.asked += 1
        return []

    def image(self, reference: str) -> Image | None:
        return IMAGE if reference == SERVICE.image else None

    @property
    def target(self) -> SwarmTarget:
        unasked = cast(Any, None)
        return SwarmTarget(Surroundings(lambda: cast(Any, self), unasked, Here(), unasked, unasked))


def test_an_image_is_in_use_where_a_service_runs_on_other_machines() -> None:
    other = replace(SERVICE, id="t", image="r/other@sha256:1")
    assert Played(SERVICE, other).target.images_in_use() == {IMAGE.id}


def test_what_is_there_is_known_by_its_services() -> None:
    assert Played(SERVICE).target.is_there(APP_THERE)
    assert Played(SERVICE).target.newest("o/shop") == 7
    assert not Played(SERVICE).target.is_there(replace(APP_THERE, name="o/other"))


def test_an_engine_alone_is_asked_once_at_a_time() -> None:
    alone = Played(manager=False)
    target = alone.target
    assert (target.is_there(APP_THERE), target.serving(APP_THERE), target.newest("o/shop")) == (False, 0, 0)
    assert target.images_in_use() == frozenset()
    assert alone.asked == 4
