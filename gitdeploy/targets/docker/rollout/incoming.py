"""What a rollout strategy is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gitdeploy.config.model import WEB
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container, ContainerSpec, Credentials
from gitdeploy.releases.release import REPLICA, container_labels, container_name
from gitdeploy.targets.check import Check, check_of
from gitdeploy.targets.docker.health import Waiter
from gitdeploy.targets.docker.ownership import containers_of
from gitdeploy.targets.docker.rollout.found import alias_of
from gitdeploy.targets.router.container import has_router, network_name
from gitdeploy.targets.strategies.takingover import TakingOver


@dataclass(frozen=True, kw_only=True)
class Rollout(TakingOver):
    """A release to bring live on a Docker Engine.

    Attributes:
        credentials: for images that have to be pulled.
    """

    engine: Engine
    credentials: Credentials

    @property
    def check(self) -> Check:
        """The health check that applies."""
        return check_of(self.release.app, self.image)

    def wait_healthy(self, container: str, elsewhere: Callable[[], str] | None = None) -> None:
        """Wait for one container, `elsewhere` as in `Waiter`. Raises StageFailed with its last lines, or Cancelled."""
        waiter = Waiter(self.engine, self.cancel, self.clock, elsewhere, self.output.line)
        waiter.wait(container, self.check, self.release.app.health)

    def containers(self) -> list[Container]:
        """Return all app containers of this process of the app that gitdeploy made, newest release first."""
        return containers_of(self.engine, self.release.app, "app")

    def spec(self, replica: int = 1) -> ContainerSpec:
        """Return a container of this release with the published ports of the app."""
        app = self.release.app
        return ContainerSpec(
            name=container_name(self.release, replica),
            image=self.release.image,
            env=self.env,
            publish=app.publish,
            volumes=app.volumes,
            networks=app.joined,
            aliases=(app.container,) if app.joined else (),
            own_network=app.networks[0] if app.networks else "",
            labels=container_labels(self.release),
            restart=app.restart,
            stop_timeout=app.stop_timeout,
            healthcheck=app.process == WEB,
            run=app.run,
        )

    def routed_spec(self, replica: int) -> ContainerSpec:
        """Return a container of this release without published ports: gitdeploy's router finds it, or the user's own proxy."""
        app = self.release.app
        spec = replace(self.spec(replica), publish=(), labels={**container_labels(self.release), REPLICA: str(replica)})
        if has_router(app):
            return replace(spec, networks=(network_name(app), *app.joined), aliases=(alias_of(self.release.id, replica),))
        return replace(spec, labels={**app.router.labels, **spec.labels}) if app.process == WEB else spec
