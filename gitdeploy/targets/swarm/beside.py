"""Two services side by side, as strategies have it: replicas come one by one, requests move by weight, the old one goes last.

Nobody can choose which of a service's tasks goes when it shrinks, so the old one keeps all of its tasks until it goes as a
whole: what strategies call stopping some of them is less of the requests for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import RELEASE, label_number
from gitdeploy.targets.router.haproxycfg import Backend
from gitdeploy.targets.router.runtime import Counts
from gitdeploy.targets.strategies import draining
from gitdeploy.targets.strategies.canary import weights
from gitdeploy.targets.strategies.together import left_to_the_next
from gitdeploy.targets.swarm.clusterrollout import ClusterRollout
from gitdeploy.targets.swarm.gateway import open_gateway, tidy_gateway
from gitdeploy.targets.swarm.readiness import progress
from gitdeploy.targets.swarm.services import (
    DIRECT,
    Fleet,
    alias_of_service,
    live_labels,
    look,
    servers_of,
    slots,
    version_of_service,
)
from gitdeploy.targets.swarm.shrinking import put_back, remove_release, stand_aside
from gitdeploy.targets.undo import Undo


class Beside:
    """See `SideBySide`; a replica is the number of a task, from 1."""

    def __init__(self, r: ClusterRollout) -> None:
        """Raise StageFailed if the router cannot be had."""
        self.r: ClusterRollout = replace(r, committed=self._commit)
        self._committed = r.committed
        self._fleet: Fleet = look(r.cluster, r.release.app)
        live = self._fleet.live
        self._live = live if live and live.replicas else None
        self.old = list(range(1, self._live.replicas + 1)) if self._live else []
        self.new: list[int] = []
        releases = {r.release.id, *([r.reusable] if r.reusable else [])}
        self.serves_already = bool(
            self._live and not self._live.labels.get(DIRECT) and label_number(self._live.labels, RELEASE) in releases
        )
        self._service, self._name = (self._live.id, self._live.name) if self._live and self.serves_already else ("", r.name)
        self._moved = False
        self._known: frozenset[str] = frozenset()
        self.undo = Undo(r.output)
        waits = (r.cluster, self._live, r.credentials, r.patient)
        wanted = r.release.app.replicas
        self.switch = open_gateway(
            *(r, self._live, max(len(self.old), wanted) + wanted), partial(stand_aside, *waits), partial(put_back, *waits)
        )

    @property
    def gradual(self) -> bool:
        """See `SideBySide`."""
        return self.switch.gradual

    @property
    def service(self) -> str:
        """The name of the service that the release is."""
        return self._name

    @property
    def holds(self) -> str:
        """See `SideBySide`."""
        return version_of_service(self._live) if self._live and not self._live.labels.get(DIRECT) else ""

    @contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """See `SideBySide`."""
        self.undo.add("sending all requests to the old release", self._revert, traffic=True)
        with self.undo.on_failure():
            yield

    def _revert(self) -> None:
        self.switch.revert()
        if self._live:
            self.r.output.line(f"{self.r.release.app.container} {version_of_service(self._live)} serves")

    def reuse(self) -> bool:
        """See `SideBySide`."""
        held = self._fleet.of_release(self.r.reusable) if self.r.reusable else None
        wanted = self.r.release.app.replicas
        if held is None or held is self._live or held.replicas < wanted or held.labels.get(DIRECT):
            return False
        if progress(self.r.cluster.tasks([held.id]), self.r.cluster.nodes()).running < wanted:
            return False
        self._service, self._name = held.id, held.name
        self.r.output.line(f"the tasks of {self.r.release.version} still run")
        self.new = list(range(1, held.replicas + 1))
        self._make_ready()
        return True

    def bring_up(self, count: int) -> Sequence[int]:
        """See `SideBySide`."""
        r, first = self.r, len(self.new) + 1
        batch = list(range(first, first + count))
        r.output.line(f"starting {r.release.app.container} {r.release.version}" + (f" (x{count})" if count > 1 else ""))
        if not self._service:
            self.undo.add(f"removing {self._name}", partial(remove_release, r.cluster, r.release.app, self._name))
            self._service = r.create(count)
        else:
            tasks = r.cluster.tasks([self._service])
            self._known = self._known or frozenset(task.id for task in tasks if not task.running)
            self.undo.add(
                f"bringing {self._name} back to {len(self.new)}",
                partial(r.cluster.resize_service, self._service, len(self.new), r.credentials),
            )
            r.cluster.resize_service(self._service, len(self.new) + count, r.credentials)
        self.new += batch
        self._make_ready()
        return batch

    def _make_ready(self) -> None:
        self.switch.introduce(slots(self._name, len(self.new), 0))
        self._await_tasks()

    def _await_tasks(self) -> None:
        r = self.r
        reached = self._reached if self.switch.verifies else None
        waits = (self._service, len(self.new), r.release.app.health.patience)
        r.waiter.wait(*waits, steady=r.steady, known=self._known, reached=reached)

    def _servers(self) -> list[Backend]:
        """Return the new tasks as the router knows them, with addresses: one that reads its file anew needs them at once."""
        return servers_of(self.r.cluster, self.r.release.app, self._service, slots(self._name, len(self.new)))

    def _reached(self) -> int:
        """Return how many of the new tasks the router reaches."""
        return self.switch.reached([alias_of_service(self._name)])

    def hand_over(self, batch: Sequence[int], leaving: Sequence[int]) -> None:
        """See `SideBySide`."""
        left = self.r.release.app.replicas - len(self.new)
        if left <= 0:
            self._moved = True
            self.switch.commit(self._servers())
        else:
            self.share(round(100 * len(self.new) / (len(self.new) + left)))

    def share(self, percent: int) -> None:
        """See `SideBySide`."""
        if not self._live:
            return
        old, new = weights(len(self.old), len(self.new), percent)
        self.switch.weigh({alias_of_service(self._live.name): old, alias_of_service(self._name): new})

    def counts(self) -> tuple[Counts, Counts]:
        """See `SideBySide`."""
        each = self.switch.counts()
        old = each.get(alias_of_service(self._live.name), Counts()) if self._live else Counts()
        return old, each.get(alias_of_service(self._name), Counts())

    def require_serving(self) -> None:
        """See `SideBySide`."""
        found = progress(self.r.cluster.tasks([self._service]), self.r.cluster.nodes(), self._known)
        if found.failed:
            raise StageFailed(f"the new release broke: {found.failed}", "see the new release's log")
        if self._moved and self.switch.verifies and not self._reached():
            raise StageFailed("HAProxy lost all tasks of the new release", "see the new release's log")

    def keep_only(self, new: Sequence[int]) -> None:
        """See `SideBySide`."""
        self.switch.commit(self._servers())

    def move_all(self) -> float | None:
        """See `SideBySide`."""
        outage = self.switch.commit(self._servers())
        self._moved = True
        if not self.switch.gradual:  # this router asks for the first time
            self._await_tasks()
        self.r.output.line(f"{self.r.release.app.container} {self.r.release.version} serves")
        return outage if self._live else None

    def drain(self, leaving: Sequence[int]) -> None:
        """See `SideBySide`."""
        if leaving and self._moved and self._live:
            watch = draining.WATCH if self.switch.gradual and self.switch.verifies else draining.FOLLOW
            draining.drain(self.r, watch, lambda: None, self._running)

    def _running(self) -> int:
        """Return how much runs in the old release. Raises StageFailed if the new one has broken."""
        self.require_serving()
        return self.counts()[0].current

    def stop(self, leaving: Sequence[int]) -> None:
        """Leave them running: see the module."""

    def _commit(self) -> None:
        """Wait for the other processes, and put on record which service serves: recovery goes by that."""
        self._committed()
        self.r.cluster.label_service(self._service, live_labels(self.r.release.id, self.r.now()))

    def finish(self, hold: bool = False) -> None:
        """See `SideBySide`."""
        r, app = self.r, self.r.release.app
        with left_to_the_next(r.output):
            kept = {self._name: len(self.new), **({self._live.name: len(self.old)} if hold and self._live else {})}
            self.switch.keep({alias_of_service(name): count for name, count in kept.items()})
            service = r.cluster.service(self._service)
            if service and service.replicas > len(self.new):
                r.cluster.resize_service(self._service, len(self.new), r.credentials)
            for other in look(r.cluster, app).services:
                if other.name not in kept:
                    remove_release(r.cluster, app, other.name)
            tidy_gateway(r)
