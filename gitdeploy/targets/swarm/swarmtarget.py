"""A Docker Swarm as a target, spoken to through the manager that gitdeploy runs on, or that DOCKER_HOST names.

Releases are services. What runs beside them (tasks, accessories, commands) runs on this machine, on networks of the cluster, as
it does on a single engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from gitdeploy.config.model import App
from gitdeploy.engine.election import ELECTION
from gitdeploy.engine.protocol import CommandSession
from gitdeploy.engine.types import Attended, Output
from gitdeploy.errors import NoManager, StageFailed
from gitdeploy.releases.release import APP, RELEASE, label_number
from gitdeploy.targets.docker.dockertarget import DockerTarget
from gitdeploy.targets.swarm.services import look
from gitdeploy.targets.swarm.standing import require_quorum

if TYPE_CHECKING:
    from gitdeploy.targets.target import Releases


class SwarmTarget(DockerTarget):
    """A `Target` that runs releases as services of a cluster."""

    @property
    def _releases(self) -> Releases:
        from gitdeploy.targets.swarm.swarmreleases import SwarmReleases  # noqa: PLC0415

        return SwarmReleases(self._around)

    def recover(self, app: App, output: Output, release: int = 0) -> int:
        """See `Target`."""
        require_quorum(self._engine.cluster(ELECTION))
        return super().recover(app, output, release)

    def run_inside(self, app: App, command: Sequence[str], how: Attended) -> AbstractContextManager[CommandSession]:
        """See `Target`: an engine runs commands in its own containers alone."""
        cluster = self._engine.cluster()
        live = look(cluster, app).live
        tasks = [task for task in (cluster.tasks([live.id]) if live else []) if task.running]
        if not tasks:
            raise StageFailed(f"no container of {app.name} runs", f"gitdeploy status {app.name} tells more")
        here = cluster.membership().node
        local = next((task for task in tasks if task.node == here and task.container), None)
        if local is None:
            names = {node.id: node.name for node in cluster.nodes()}
            where = ", ".join(sorted({names.get(task.node, task.node) for task in tasks}))
            hint = f"on one of those: docker exec -it {tasks[0].container[:12]} …; or gitdeploy run {app.name}, which runs here"
            raise StageFailed(f"no container of {app.name} runs on this machine, but on {where}", hint)
        return self._engine.exec_attended(local.container, command, how)

    def newest(self, app: str) -> int:
        """See `Target`."""
        try:
            services = self._engine.cluster(ELECTION).services({APP: app})
        except NoManager:
            return 0
        return max(super().newest(app), *(label_number(s.labels, RELEASE) for s in services), 0)

    def images_in_use(self) -> frozenset[str]:
        """See `Target`: the tasks of a service may all run on other machines."""
        engine = self._engine
        try:
            services = engine.cluster(ELECTION).services({APP: ""})
        except NoManager:
            return frozenset()
        found = (engine.image(reference) for reference in {service.image for service in services})
        return super().images_in_use() | {image.id for image in found if image}
