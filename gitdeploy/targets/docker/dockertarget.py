"""One Docker Engine as a target."""

from __future__ import annotations

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Output
from gitdeploy.releases.release import ADOPTED, APP, RELEASE, label_number
from gitdeploy.targets.docker.condition import condition
from gitdeploy.targets.docker.ownership import require_own
from gitdeploy.targets.docker.rollout import STRATEGIES
from gitdeploy.targets.docker.rollout.found import look
from gitdeploy.targets.docker.rollout.held import release_held, serving_now, serving_release
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.recovery import recover
from gitdeploy.targets.docker.service import let_run, renew_policies, standing_still, take_out
from gitdeploy.targets.target import Incoming, Outcome, Surroundings

STARTS = 900.0
"""Seconds for what a rollout does besides waiting: an engine with much to do makes, starts and removes containers slowly."""


class DockerTarget:
    """A `Target` that runs releases as containers of one engine, behind a router where the strategy needs one."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @property
    def _engine(self) -> Engine:
        return self._around.engine()

    def require_fit(self, app: App, granted: App) -> None:
        """See `Target`."""
        require_own(self._engine, app, granted, self._around.here)

    def bring_live(self, incoming: Incoming) -> Outcome:
        """See `Target`."""
        app = incoming.release.app
        rollout = Rollout(
            **vars(incoming), engine=self._engine, clock=self._around.clock, credentials=self._around.credentials(app)
        )
        return STRATEGIES[app.strategy](rollout)

    def patience(self, app: App) -> float:
        """See `Target`."""
        ready = max(app.health.patience, app.health.min_uptime)
        waits = 2 * (ready + app.router.drain_timeout + app.stop_timeout)
        steps = len(app.canary.weight) * app.canary.duration if app.strategy == "canary" else 0.0
        return STARTS + app.replicas * waits + steps

    def serving(self, app: App) -> int:
        """See `Target`."""
        return serving_release(self._engine, app)

    def condition(self, app: App) -> str:
        """See `Target`."""
        found = look(self._engine, app)
        group, _ = serving_now(self._engine, app, found)
        return condition(app, found, group, self._around.now())

    def recover(self, app: App, output: Output) -> int:
        """See `Target`."""
        return self._recover(app, output)

    def _recover(self, app: App, output: Output, *, waits: bool = False) -> int:
        around, credentials = self._around, self._around.credentials(app)
        return recover(self._engine, app, output, around.clock, now=around.now, credentials=credentials, waits=waits)

    def take_out(self, app: App) -> None:
        """See `Target`."""
        take_out(self._engine, app)

    def bring_back(self, app: App, output: Output) -> int:
        """See `Target`."""
        let_run(self._engine, app, output)
        return self._recover(app, output, waits=True)

    def keep_up(self, app: App, output: Output) -> None:
        """See `Target`."""
        found = look(self._engine, app)
        renew_policies(self._engine, app, found, output)
        group, _ = serving_now(self._engine, app, found)
        if down := standing_still(app, found, group):
            output.line(f"starting what should run: {', '.join(down)}")
            self.bring_back(app, output)

    def settle(self, app: App, output: Output) -> float:
        """See `Target`."""
        return release_held(self._engine, app, output, self._around.now())

    def newest(self, app: str) -> int:
        """See `Target`."""
        return max((label_number(c.labels, RELEASE) for c in self._engine.containers({APP: app})), default=0)

    def images_in_use(self) -> frozenset[str]:
        """See `Target`."""
        return frozenset(container.image for container in self._engine.containers({}))

    def used_by_others(self, app: App, image: str) -> bool:
        """See `Target`."""
        users = [c for c in self._engine.containers({}) if c.image == image and c.labels.get(APP) != app.name]
        return any(c.name != app.container and not c.name.startswith(app.container + ADOPTED) for c in users)
