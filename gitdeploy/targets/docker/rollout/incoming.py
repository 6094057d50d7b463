"""What a rollout strategy is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container, ContainerSpec, Credentials
from gitdeploy.errors import Cancelled
from gitdeploy.releases.release import APP, REPLICA, ROLE, container_labels, container_name
from gitdeploy.targets.docker.health import Check, Waiter, pick
from gitdeploy.targets.docker.rollout.found import alias_of
from gitdeploy.targets.docker.router.container import has_router, network_name
from gitdeploy.targets.target import Incoming


@dataclass(frozen=True, kw_only=True)
class Rollout(Incoming):
    """A release to bring live on a Docker Engine.

    Attributes:
        credentials: for images that have to be pulled.
        clock: seconds, monotonic.
    """

    engine: Engine
    clock: Callable[[], float]
    credentials: Credentials

    @property
    def check(self) -> Check:
        """The health check that applies."""
        return pick(self.release.app.health, self.image, self.release.app.publish)

    def wait_healthy(self, container: str, elsewhere: Callable[[], str] | None = None) -> None:
        """Wait for one container, `elsewhere` as in `Waiter`. Raises StageFailed with its last lines, or Cancelled."""
        waiter = Waiter(self.engine, self.cancel, self.clock, elsewhere, self.output.line)
        waiter.wait(container, self.check, self.release.app.health)

    def require_published(self) -> None:
        """Wait for the image to be in the registry. Raises what went wrong there, or Cancelled."""
        self.published()
        if self.cancel.is_set():
            raise Cancelled("cancelled before the switch")

    def containers(self) -> list[Container]:
        """Return all app containers of this app that gitdeploy made, newest release first."""
        return self.engine.containers({APP: self.release.app.name, ROLE: "app"})

    def spec(self, replica: int = 1) -> ContainerSpec:
        """Return a container of this release with the published ports of the app."""
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
        """Return a container of this release without published ports: gitdeploy's router finds it, or the user's own proxy."""
        app = self.release.app
        spec = replace(self.spec(replica), publish=(), labels={**container_labels(self.release), REPLICA: str(replica)})
        if has_router(app):
            return replace(spec, networks=(network_name(app), *app.networks), aliases=(alias_of(self.release.id, replica),))
        return replace(spec, labels={**app.router.labels, **spec.labels})
