"""What every strategy is given to bring a release live as a service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitdeploy.config.model import WEB
from gitdeploy.config.secretfile import cluster_files
from gitdeploy.engine.cluster import Cluster, SecretFile, ServiceSpec
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import NEVER, Credentials
from gitdeploy.errors import Cancelled
from gitdeploy.releases.release import SERVICE, container_labels
from gitdeploy.targets.check import Check, check_of
from gitdeploy.targets.router.container import has_router
from gitdeploy.targets.strategies.takingover import TakingOver
from gitdeploy.targets.swarm.readiness import STEADY, TaskWaiter
from gitdeploy.targets.swarm.services import by_digest, overlay_name, secret_name, service_name, split_secrets
from gitdeploy.targets.swarm.shrinking import remove_release


@dataclass(frozen=True, kw_only=True)
class ClusterRollout(TakingOver):
    """A release to bring live on a cluster.

    Attributes:
        engine: of this machine, a manager: the router runs there.
        credentials: with which machines pull the image.
        in_registry: waits until the image is in the registry, whatever else is waited for before the switch.
        now: seconds since the epoch.
    """

    engine: Engine
    cluster: Cluster
    credentials: Credentials
    in_registry: Callable[[], object]
    now: Callable[[], float]

    @property
    def name(self) -> str:
        """What the release's service is called."""
        return service_name(self.release.app, self.release.id)

    @property
    def check(self) -> Check:
        """The health check that applies."""
        return check_of(self.release.app, self.image)

    @property
    def steady(self) -> float:
        """Seconds for which all tasks have to serve before they count as healthy."""
        return self.release.app.health.min_uptime if self.check.kind == "uptime" else STEADY

    @property
    def waiter(self) -> TaskWaiter:
        """Waits, until the deployment is cancelled."""
        return TaskWaiter(self.cluster, self.cancel.wait, self.clock, self.output.line)

    @property
    def patient(self) -> TaskWaiter:
        """Waits whatever happens: for what serves again."""
        return TaskWaiter(self.cluster, NEVER.wait, self.clock, self.output.line)

    def create(self, replicas: int, *, publish: bool = False) -> str:
        """Create the release's service, with its secrets; return its id. One left by a run that was cut off goes first.

        Args:
            publish: whether it gets the app's ports itself, on the machines that run it.

        Raises:
            EngineError, StageFailed, Cancelled: and what went wrong with the push.
        """
        self.in_registry()
        if self.cancel.is_set():
            raise Cancelled("cancelled before the new release was started")
        app = self.release.app
        remove_release(self.cluster, app, self.name)
        image = by_digest(app, self.engine.image(self.release.image) or self.image)
        env, files = split_secrets(self.env, app.swarm.secret_files)
        labels = container_labels(self.release, SERVICE)
        networks = (overlay_name(app), *app.joined) if has_router(app) and not publish else app.joined
        spec = ServiceSpec(
            name=self.name,
            image=image,
            env=env,
            replicas=replicas,
            networks=networks,
            aliases=() if networks != app.joined else (app.container,) if app.joined else (),
            own_network=app.networks[0] if app.networks else "",
            publish=app.publish if publish else (),
            volumes=app.volumes,
            labels={**app.router.labels, **labels} if app.router.kind == "external" and app.process == WEB else labels,
            healthcheck=app.process == WEB,
            stop_timeout=app.stop_timeout,
            run=app.run,
            restart=app.restart,
            secrets=tuple(self._secret(name, data, labels) for name, data in {**files, **cluster_files(app)}.items()),
            constraints=app.swarm.constraints,
            spread=app.swarm.spread,
        )
        return self.cluster.create_service(spec, self.credentials)

    def _secret(self, name: str, data: bytes, labels: dict[str, str]) -> SecretFile:
        called = secret_name(self.name, name)
        return SecretFile(self.cluster.create_secret(called, data, labels), called, name)
