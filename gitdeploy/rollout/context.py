"""What a rollout strategy is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitdeploy.engine.types import Cancel, Container, ContainerSpec, Credentials, Engine, Image, Output
from gitdeploy.health import Check, Waiter, pick
from gitdeploy.release import APP, ROLE, Release, container_labels, container_name


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended well.

    Attributes:
        outage: seconds in which nothing served; 0.0 where the strategy overlaps, None where nothing ran before.
        note: what the pusher should know, "" for nothing.
    """

    outage: float | None
    note: str = ""


@dataclass(frozen=True)
class Rollout:
    """One release to bring live.

    Attributes:
        release: what to run, with its configuration.
        image: its image.
        env: the container's environment, env_file included.
        published: waits until the image is in the registry; raises what went wrong there. Called before the switch.
        credentials: for images that have to be pulled.
        clock: seconds, monotonic.
    """

    release: Release
    image: Image
    engine: Engine
    output: Output
    cancel: Cancel
    clock: Callable[[], float]
    published: Callable[[], None]
    credentials: Credentials
    env: Mapping[str, str] = field(repr=False)

    @property
    def check(self) -> Check:
        """The health check that applies."""
        return pick(self.release.app.health, self.image, self.release.app.publish)

    def wait_healthy(self, container: str) -> None:
        """Waits for one container. Raises StageFailed with its last lines, or Cancelled."""
        Waiter(self.engine, self.cancel, self.clock).wait(container, self.check, self.release.app.health)

    def containers(self) -> list[Container]:
        """All app containers of this app that gitdeploy made, newest release first."""
        return self.engine.containers({APP: self.release.app.name, ROLE: "app"})

    def spec(self, replica: int = 1) -> ContainerSpec:
        """A container of this release with the published ports of the app."""
        app = self.release.app
        return ContainerSpec(
            name=container_name(self.release, replica),
            image=self.release.image,
            env=self.env,
            publish=app.publish,
            volumes=app.volumes,
            networks=app.networks,
            aliases=(app.container,) if app.networks else (),
            labels=container_labels(self.release),
            restart=app.restart,
            stop_timeout=app.stop_timeout,
        )
