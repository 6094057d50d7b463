"""An app on a real engine, deployed release by release as the worker would."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App
from gitdeploy.config.sections import Canary, Health, Router
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container
from gitdeploy.releases.release import APP, ROLE, Release
from gitdeploy.targets.target import Incoming, Outcome
from tests.support.net import get
from tests.support.targets import target_on


@dataclass
class Lines:
    """An `Output` that remembers."""

    lines: list[str] = field(default_factory=list)

    def line(self, text: str, *, detail: bool = False) -> None:
        self.lines.append(text)

    def progress(self, key: str, text: str) -> None:
        pass

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def answers(url: str, text: str) -> bool:
    """Whether a GET gets this answer now."""
    try:
        return get(url, timeout=1.0) == text
    except (OSError, http.client.HTTPException):
        return False


class Site:
    """One app, and what the worker does with it.

    Attributes:
        app: its configuration; change it with `configure`.
        first: the one it was made with.
        output: what its deployments said.
        numbers: ids of its deployments.
    """

    def __init__(self, engine: Engine, image: str, name: str, port: int, router_image: str) -> None:
        self.engine = engine
        self.image = image
        self.output = Lines()
        self.numbers = itertools.count(1)
        self.app = App(
            name=name,
            image=name,
            container=name.replace("/", "-"),
            publish=(Publish("", port, 80),),
            strategy="blue-green",
            canary=Canary(duration=0.5),
            stop_timeout=1.0,
            health=Health(start_period=10.0, interval=0.1),
            router=Router(image=router_image, drain_timeout=3.0),
        )
        self.first = self.app

    def start_over(self) -> None:
        """Takes the first configuration again, with one release live behind the router."""
        self.app = self.first
        self.output.lines.clear()
        good = {self.app.container: "running", f"{self.app.container}.router": "running"}
        if self.names() != good or not any(answers(self.url, version) for version in ("1", "2", "3")):
            for container in self.engine.containers({APP: self.app.name}):
                self.engine.remove(container.id, force=True)
            self.deploy("1")

    @property
    def port(self) -> int:
        """The first published port."""
        return self.app.publish[0].host_port

    @property
    def url(self) -> str:
        """Where the app answers."""
        return f"http://127.0.0.1:{self.port}/"

    def configure(self, **values: object) -> None:
        """Changes keys of the app's configuration."""
        self.app = replace(self.app, **values)  # type: ignore[arg-type]

    def deploy(
        self,
        version: str,
        published: Callable[[], None] = lambda: None,
        cancel: Event | None = None,
        release: int = 0,
        reuse: int = 0,
        **env: str,
    ) -> Outcome:
        """One deployment with the app's strategy; `env` makes the server misbehave."""
        coming = self._incoming(self.app, version, release or next(self.numbers), env)
        return target_on(self.engine).bring_live(replace(coming, cancel=cancel or Event(), published=published, reuse=reuse))

    def resize(self, process: str, **env: str) -> None:
        """Brings one process of what serves to the number of replicas that its configuration has."""
        live = target_on(self.engine).serving(self.app)
        target_on(self.engine).resize(self._incoming(self.app.of_process(process), f"{live}", live, env))

    def _incoming(self, app: App, version: str, release: int, env: Mapping[str, str]) -> Incoming:
        image = self.engine.image(self.image)
        assert image
        return Incoming(
            release=Release(release, app, version, "", image.id),
            image=image,
            output=self.output,
            cancel=Event(),
            published=lambda: None,
            env={**app.env, "VERSION": version, **env},
        )

    def containers(self, role: str = "app") -> list[Container]:
        """What the app has on the engine, newest first."""
        return self.engine.containers({APP: self.app.name, ROLE: role})

    def router(self) -> Container:
        """The app's only router."""
        (router,) = self.containers("router")
        return router

    def names(self) -> Mapping[str, str]:
        """Container name → state."""
        return {c.name: c.state for c in self.engine.containers({APP: self.app.name})}
