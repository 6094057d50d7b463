"""What serves on a cluster, and how releases come and go there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from gitdeploy.config.checks import processes
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import cluster_files
from gitdeploy.config.sections import EMPTY
from gitdeploy.engine.cluster import Cluster
from gitdeploy.engine.election import ELECTION
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import LASTING, NEVER, Image, Output
from gitdeploy.errors import NoManager
from gitdeploy.releases.release import APP, RELEASE, Release, label_number, process_of
from gitdeploy.targets.docker.dockerreleases import patience_of
from gitdeploy.targets.docker.ownership import releases_of, require_own
from gitdeploy.targets.docker.rollout.leaving import without
from gitdeploy.targets.docker.service import NEVER as STAYS_DOWN
from gitdeploy.targets.router.container import find, has_router
from gitdeploy.targets.strategies import OVERLAPPING
from gitdeploy.targets.strategies.confirm import confirm
from gitdeploy.targets.strategies.together import Ways, bring_all_live, to_run
from gitdeploy.targets.swarm.beside import Beside
from gitdeploy.targets.swarm.clusterrollout import ClusterRollout
from gitdeploy.targets.swarm.entryservice import EntryService, entry_name
from gitdeploy.targets.swarm.mending import hold_left, recover_services
from gitdeploy.targets.swarm.readiness import PULL, TaskWaiter
from gitdeploy.targets.swarm.services import LIVE, WANTED, look
from gitdeploy.targets.swarm.shrinking import stand_aside
from gitdeploy.targets.swarm.standing import membership_problem, require_quorum, require_services
from gitdeploy.targets.swarm.strength import strength_of
from gitdeploy.targets.swarm.swap import leave_cluster, swap, take_process_away
from gitdeploy.targets.target import Incoming, Outcome, Strength, Surroundings, whole_condition

UNKNOWN = Image("", (), (), EMPTY, (), healthcheck=False, size=0, created="")
"""The image of what is brought into order, where this machine does not have it."""


class SwarmReleases:
    """The part of a `Target` about what serves; every method is documented there."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @property
    def _engine(self) -> Engine:
        return self._around.engine()

    @property
    def _cluster(self) -> Cluster:
        return self._engine.cluster(ELECTION)

    @property
    def _asked(self) -> Cluster:
        """The cluster for who only looks, and is told at once what is wrong with it."""
        return self._engine.cluster()

    def require_fit(self, app: App, granted: App) -> None:
        nodes = require_quorum(self._cluster)
        require_services(app, nodes, self._engine.info().api_version)
        cluster_files(app)
        require_own(self._engine, app, granted, self._around.here)

    def bring_live(self, incoming: Incoming) -> Outcome:
        require_quorum(self._cluster)
        r = self._rollout(incoming)
        ways = Ways(
            {"recreate": swap, **{name: partial(_beside, strategy) for name, strategy in OVERLAPPING.items()}},
            leave_cluster,
            partial(self._take_away, incoming.output),
        )
        return bring_all_live(r, self._to_leave(r.release.app), ways)

    def _rollout(self, incoming: Incoming) -> ClusterRollout:
        app, around = incoming.release.app, self._around
        if app.own_network:
            self._cluster.ensure_overlay(app.own_network, {APP: app.name})
        return ClusterRollout(
            **vars(incoming),
            committed=incoming.serves,
            clock=around.clock,
            now=around.now,
            engine=self._engine,
            cluster=self._cluster,
            credentials=around.credentials(app),
            in_registry=incoming.published,
        )

    def _nothing_new(self, app: App, output: Output) -> ClusterRollout:
        """Return what a process is brought into order with."""
        newest = look(self._cluster, app).services[-1:]
        image = self._engine.image(newest[0].image) if newest else None
        made = Release(0, app, "", "", image.id if image else "")
        return self._rollout(Incoming(made, image or UNKNOWN, {}, output, NEVER, lambda: None))

    def _take_away(self, output: Output, app: App) -> None:
        take_process_away(self._nothing_new(app, output))

    def _to_leave(self, app: App) -> tuple[App, ...]:
        """Return the app as those processes have it that are there and are not to run."""
        there = {process_of(s.labels) for s in self._cluster.services({APP: app.name})}
        return tuple(without(app, name) for name in sorted(there - {part.process for part in to_run(app)}))

    def patience(self, app: App) -> float:
        return patience_of(app) + PULL

    def serving(self, app: App) -> int:
        try:
            live = look(self._asked, app).live
        except NoManager:
            return 0
        runs = live is not None and any(task.running for task in self._asked.tasks([live.id]))
        return label_number(live.labels, RELEASE) if live and runs else 0

    def processes(self, app: App) -> tuple[Strength, ...]:
        return self._strengths(processes(app))

    def _strengths(self, parts: Iterable[App]) -> tuple[Strength, ...]:
        nodes = self._asked.nodes()
        return tuple(strength_of(self._engine, self._asked, nodes, part) for part in parts)

    def condition(self, app: App) -> str:
        reason, _ = membership_problem(self._asked.membership())
        return reason or whole_condition(self._strengths(to_run(app)))

    def resize(self, incoming: Incoming) -> None:
        require_quorum(self._cluster)
        r = self._rollout(incoming)
        live = look(self._cluster, r.release.app).live
        if not r.release.app.replicas:
            take_process_away(r)
        elif live is None:
            _beside(OVERLAPPING["rolling"], r)
        else:
            confirm(Beside(replace(r, release=replace(r.release, id=label_number(live.labels, RELEASE)))))

    def recover(self, app: App, output: Output, release: int = 0) -> int:
        wanted = [self._nothing_new(part, output) for part in to_run(app)]
        leaving = [self._nothing_new(part, output) for part in self._to_leave(app)]
        onto = but = 0
        if release and len(wanted) + len(leaving) > 1:
            went_live = [s for s in self._cluster.services({APP: app.name}) if label_number(s.labels, LIVE) == release]
            onto, but = (label_number(went_live[0].labels, RELEASE), 0) if went_live else (0, release)
        for r in leaving:
            if onto:
                take_process_away(r)
            else:
                recover_services(r, but=but)
        served = [recover_services(r, onto=onto, but=but) for r in wanted]
        return served[0] if not onto or set(served) == {onto} else 0

    def take_out(self, app: App) -> None:
        require_quorum(self._cluster)
        for part in (*to_run(app), *self._to_leave(app)):
            for router in find(self._engine, part):
                self._engine.set_restart(router.id, STAYS_DOWN)
                self._engine.stop(router.id, 0)
            EntryService(self._cluster, part).remove()
            waiter = TaskWaiter(self._cluster, NEVER.wait, self._around.clock, lambda _: None)
            for service in look(self._cluster, part).services:
                stand_aside(self._cluster, service, self._around.credentials(part), waiter, part.stop_timeout)

    def bring_back(self, app: App, output: Output) -> int:
        require_quorum(self._cluster)
        for part in to_run(app):
            for router in find(self._engine, part):
                self._engine.set_restart(router.id, LASTING)
        return self.recover(app, output)

    def keep_up(self, app: App, output: Output) -> None:
        """Start what the cluster does not keep up by itself."""
        if app.restart != LASTING:
            return
        live = [service for part in to_run(app) if (service := look(self._cluster, part).live)]
        down = [service.name for service in live if label_number(service.labels, WANTED) or not service.replicas]
        down += [router.name for part in to_run(app) for router in find(self._engine, part) if not router.running]
        entries = [part for part in to_run(app) if part.router.nodes and has_router(part)]
        down += [entry_name(part) for part in entries if live and EntryService(self._cluster, part).find() is None]
        if down:
            output.line(f"starting what should run: {', '.join(down)}")
            self.bring_back(app, output)

    def is_there(self, app: App) -> bool:
        try:
            services = self._cluster.services({APP: app.name})
        except NoManager:
            return False
        return bool(services or releases_of(self._engine, app))

    def discard(self, app: App, output: Output) -> None:
        if not self._cluster.membership().manager:
            return
        for part in (*processes(app), *self._to_leave(app)):
            self._take_away(output, part)

    def settle(self, app: App, output: Output) -> float:
        left = []
        for part in processes(app):
            fleet = look(self._cluster, part)
            if fleet.live is None or len(fleet.services) < 2:
                continue
            due = hold_left(part, fleet.live, self._around.now())
            if due <= 0:
                recover_services(self._nothing_new(part, output))
            left.append(max(due, 0.0))
        return min(filter(None, left), default=0.0)


def _beside(strategy: Callable[[Beside], Outcome], r: ClusterRollout) -> Outcome:
    sides = Beside(r)
    outcome = strategy(sides)
    return outcome if r.release.app.publish else replace(outcome, place=f"service {sides.service}")
