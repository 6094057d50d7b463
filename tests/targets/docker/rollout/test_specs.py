"""What the containers of a process other than web are made with."""

from __future__ import annotations

import time
from threading import Event
from typing import Any

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App, AppProcess
from gitdeploy.config.sections import Router
from gitdeploy.engine.types import Image
from gitdeploy.releases.release import Release
from gitdeploy.targets.check import Check
from gitdeploy.targets.docker.rollout.incoming import Rollout
from tests.targets.docker.rollout.site import Lines

IMAGE = Image("sha256:1", (), (), {}, ("80/tcp",), healthcheck=True, size=0, created="")
NO_ENGINE: Any = None


def rollout(process: str, **own: object) -> Rollout:
    router = Router(kind="external", labels={"traefik.enable": "true"})
    app = App("o/shop", "shop", "shop", router=router, networks=("proxy",), processes={"worker": AppProcess(**own)})  # type: ignore[arg-type]
    return Rollout(
        release=Release(7, app.of_process(process), "1", "", IMAGE.id),
        image=IMAGE,
        env={},
        output=Lines(),
        cancel=Event(),
        published=lambda: None,
        engine=NO_ENGINE,
        clock=time.monotonic,
        credentials=lambda _: None,
    )


def test_a_proxy_is_told_of_web_alone() -> None:
    assert rollout("web").routed_spec(1).labels["traefik.enable"] == "true"
    worker = rollout("worker").routed_spec(1)
    assert "traefik.enable" not in worker.labels
    assert worker.labels["gitdeploy.process"] == "worker"
    assert (worker.name, worker.aliases, worker.networks) == ("shop-worker.7.1", ("shop-worker",), ("proxy",))


def test_what_the_image_says_of_ports_and_health_it_says_of_web() -> None:
    assert (rollout("web").check, rollout("web").spec().healthcheck) == (Check("image"), True)
    assert (rollout("worker").check, rollout("worker").spec().healthcheck) == (Check("uptime"), False)
    assert rollout("worker", publish=(Publish("", 81, 8080),)).check == Check("tcp", 8080)
