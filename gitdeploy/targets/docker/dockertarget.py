"""One Docker Engine as a target.

The strategies and what looks after what serves take longer to import than a command beside an app takes to start: they are
imported where they are asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import CommandSession, Engine
from gitdeploy.engine.types import Attended, Output
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import ADOPTED, APP, RELEASE, ROLE, SERVICE, Release, label_number
from gitdeploy.targets.docker.oneoff import one_off, running, sweep
from gitdeploy.targets.errand import Errand, TaskEnd
from gitdeploy.targets.target import Incoming, Outcome, Strength, Surroundings

if TYPE_CHECKING:
    from gitdeploy.targets.docker.dockeraccessories import DockerAccessories
    from gitdeploy.targets.target import Releases


class DockerTarget:
    """A `Target` that runs releases as containers of one engine, behind a router where the strategy needs one."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @property
    def _engine(self) -> Engine:
        return self._around.engine()

    @property
    def _releases(self) -> Releases:
        from gitdeploy.targets.docker.dockerreleases import DockerReleases  # noqa: PLC0415

        return DockerReleases(self._around)

    @property
    def accessories(self) -> DockerAccessories:
        """See `Target`."""
        from gitdeploy.targets.docker.dockeraccessories import DockerAccessories  # noqa: PLC0415

        return DockerAccessories(self._engine, self._around.clock)

    def require_fit(self, app: App, granted: App) -> None:
        """See `Target`."""
        self._releases.require_fit(app, granted)

    def bring_live(self, incoming: Incoming) -> Outcome:
        """See `Target`."""
        return self._releases.bring_live(incoming)

    def resize(self, incoming: Incoming) -> None:
        """See `Target`."""
        self._releases.resize(incoming)

    def patience(self, app: App) -> float:
        """See `Target`."""
        return self._releases.patience(app)

    def serving(self, app: App) -> int:
        """See `Target`."""
        return self._releases.serving(app)

    def processes(self, app: App) -> tuple[Strength, ...]:
        """See `Target`."""
        return self._releases.processes(app)

    def condition(self, app: App) -> str:
        """See `Target`."""
        return self._releases.condition(app)

    def recover(self, app: App, output: Output, release: int = 0) -> int:
        """See `Target`."""
        self.sweep(app, output)
        self.accessories.recover(app, output)
        return self._releases.recover(app, output, release)

    def take_out(self, app: App) -> None:
        """See `Target`."""
        self._releases.take_out(app)

    def bring_back(self, app: App, output: Output) -> int:
        """See `Target`."""
        return self._releases.bring_back(app, output)

    def keep_up(self, app: App, output: Output) -> None:
        """See `Target`."""
        self.accessories.keep_up(app, output)
        self._releases.keep_up(app, output)

    def settle(self, app: App, output: Output) -> float:
        """See `Target`."""
        return self._releases.settle(app, output)

    def run_task(self, errand: Errand) -> TaskEnd | None:
        """See `Target`."""
        from gitdeploy.targets.docker.taskcontainer import run_task  # noqa: PLC0415

        return run_task(self._engine, errand, self._around.now, self._around.clock)

    def drop_tasks(self, app: App, keep: Collection[tuple[int, str]]) -> None:
        """See `Target`."""
        from gitdeploy.targets.docker.taskcontainer import drop_tasks  # noqa: PLC0415

        drop_tasks(self._engine, app, keep)

    def drop_runs(self, app: App, keep: Callable[[], Collection[int]]) -> None:
        """See `Target`."""
        from gitdeploy.targets.docker.taskcontainer import drop_runs  # noqa: PLC0415

        drop_runs(self._engine, app, keep)

    def run_beside(
        self, release: Release, env: Mapping[str, str], command: Sequence[str], how: Attended
    ) -> AbstractContextManager[CommandSession]:
        """See `Target`."""
        app = release.app
        name = f"{app.container}.run.{secrets.token_hex(4)}"
        return running(self._engine, one_off(app, release.id, release.image, env, command, name=name, kind="run", attended=how))

    def run_inside(self, app: App, command: Sequence[str], how: Attended) -> AbstractContextManager[CommandSession]:
        """See `Target`."""
        from gitdeploy.targets.docker.rollout.serving import serving_group  # noqa: PLC0415

        engine = self._engine
        group = serving_group(engine, app)
        container = next((c for c in group.containers if c.running), None) if group else None
        if container is None:
            raise StageFailed(f"no container of {app.name} runs", f"gitdeploy status {app.name} tells more")
        return engine.exec_attended(container.id, command, how)

    def sweep(self, app: App, output: Output) -> None:
        """See `Target`."""
        sweep(self._engine, app, output, self._around.now())

    def is_there(self, app: App) -> bool:
        """See `Target`."""
        return self._releases.is_there(app)

    def discard(self, app: App, output: Output) -> None:
        """See `Target`."""
        self._releases.discard(app, output)

    def newest(self, app: str) -> int:
        """See `Target`."""
        own = [c for c in self._engine.containers({APP: app}) if c.labels.get(ROLE) != SERVICE]
        return max((label_number(c.labels, RELEASE) for c in own), default=0)

    def images_in_use(self) -> frozenset[str]:
        """See `Target`."""
        return frozenset(container.image for container in self._engine.containers({}))

    def used_by_others(self, app: App, image: str) -> bool:
        """See `Target`."""
        users = [c for c in self._engine.containers({}) if c.image == image and c.labels.get(APP) != app.name]
        return any(c.name != app.container and not c.name.startswith(app.container + ADOPTED) for c in users)
