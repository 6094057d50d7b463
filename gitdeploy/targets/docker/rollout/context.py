"""What a rollout strategy is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Cancel, Container, ContainerSpec, Credentials, Image, Output
from gitdeploy.errors import Cancelled
from gitdeploy.releases.release import APP, REPLICA, ROLE, Release, container_labels, container_name
from gitdeploy.targets.docker.health import Check, Waiter, pick
from gitdeploy.targets.docker.rollout.found import alias_of
from gitdeploy.targets.docker.router.container import has_router, network_name


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended well.

    Attributes:
        outage: seconds in which nothing served; 0.0 where the strategy overlaps, None where nothing ran before.
        note: what the pusher should know, "" for nothing.
        held: seconds for which the old release is kept running; `held.release_held` removes it after that.
    """

    outage: float | None
    note: str = ""
    held: float = 0.0


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
        reuse: the release that is rolled back to, whose containers may still run; 0 for none.
    """

    release: Release
    image: Image
    engine: Engine
    output: Output
    cancel: Cancel
    clock: Callable[[], float]
    published: Callable[[], object]
    credentials: Credentials
    env: Mapping[str, str] = field(repr=False)
    reuse: int = 0

    @property
    def check(self) -> Check:
        """The health check that applies."""
        return pick(self.release.app.health, self.image, self.release.app.publish)

    def wait_healthy(self, container: str, elsewhere: Callable[[], str] | None = None) -> None:
        """Waits for one container, `elsewhere` as in `Waiter`. Raises StageFailed with its last lines, or Cancelled."""
        Waiter(self.engine, self.cancel, self.clock, elsewhere).wait(container, self.check, self.release.app.health)

    def require_published(self) -> None:
        """Waits for the image to be in the registry. Raises what went wrong there, or Cancelled."""
        self.published()
        if self.cancel.is_set():
            raise Cancelled("cancelled before the switch")

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
            run=app.run,
        )

    def routed_spec(self, replica: int) -> ContainerSpec:
        """A container of this release without published ports: gitdeploy's router finds it, or the user's own proxy."""
        app = self.release.app
        spec = replace(self.spec(replica), publish=(), labels={**container_labels(self.release), REPLICA: str(replica)})
        if has_router(app):
            return replace(spec, networks=(network_name(app), *app.networks), aliases=(alias_of(self.release.id, replica),))
        return replace(spec, labels={**app.router.labels, **spec.labels})
