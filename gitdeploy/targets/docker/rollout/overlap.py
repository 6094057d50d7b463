"""The steps that overlapping strategies are made of: bring up, switch, drain, retire; and all of it undone on failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from gitdeploy.engine.types import Container
from gitdeploy.errors import Cancelled
from gitdeploy.releases.release import REPLICA, label_number
from gitdeploy.targets.docker.health import TICK
from gitdeploy.targets.docker.rollout.arrange import arrange
from gitdeploy.targets.docker.rollout.found import Group, alias, look, servers, version_of
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.names import take_name
from gitdeploy.targets.docker.rollout.stopping import enter_way_back, stop_all, stop_old
from gitdeploy.targets.docker.rollout.watching import Watched
from gitdeploy.targets.docker.volumes import require_named
from gitdeploy.targets.router.container import discard, has_router
from gitdeploy.targets.router.haproxycfg import FULL
from gitdeploy.targets.router.leading import TRY
from gitdeploy.targets.strategies.canary import weights
from gitdeploy.targets.strategies.together import left_to_the_next
from gitdeploy.targets.undo import Undo


class Overlap(Watched):
    """One release on its way beside another, as `SideBySide` has it."""

    def __init__(self, r: Rollout) -> None:
        """Raise StageFailed if the app cannot overlap, or its router cannot be had."""
        self.r = r
        group, self.switch = arrange(r)
        self.group = group if group and any(c.running for c in group.containers) else None
        self.old: list[Container] = list(self.group.containers) if self.group else []
        self.new: list[Container] = []
        require_named(r.release.app, self.old)
        self.undo = Undo(r.output)
        self._warn_of_shared_volumes()

    @property
    def gradual(self) -> bool:
        """See `SideBySide`."""
        return self.switch.gradual

    @property
    def holds(self) -> str:
        """See `SideBySide`."""
        return self.group.version if self.group and self.group.routed else ""

    @property
    def serves_already(self) -> bool:
        """See `SideBySide`."""
        return self.group is not None and self.group.routed and self.group.release in (self.r.release.id, self.r.reusable)

    def _warn_of_shared_volumes(self) -> None:
        volumes = [str(v) for v in self.r.release.app.volumes if not v.read_only]
        if volumes and self.old:
            self.r.output.line(f"warning: two releases write to {', '.join(volumes)} at the same time for a while")

    @contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """Whatever is raised inside, what served before serves again when it leaves."""
        self.undo.add("sending all requests to the old release", self._revert, traffic=True)
        with self.undo.on_failure():
            yield

    def _stop(self, ids: Sequence[str]) -> None:
        stop_all(self.r.engine, [c for c in map(self.r.engine.container, ids) if c], self.r.release.app.stop_timeout)

    def _revert(self) -> None:
        self.switch.revert()
        if self.old:
            self.r.output.line(f"{self.r.release.app.container} {version_of(self.old[0])} serves")

    def reuse(self) -> bool:
        """Take the containers of the release that is rolled back to, if all of them still run."""
        group = find_group(self.r, self.r.reusable) if self.r.reusable else None
        if group is None or len(group.containers) < self.r.release.app.replicas or not all(c.running for c in group.containers):
            return False
        self.new = list(group.containers)
        self.r.output.line(f"the containers of {self.r.release.version} still run")
        self._make_ready(self.new)
        return True

    def bring_up(self, count: int) -> list[Container]:
        """Start so many more replicas and wait until they are healthy and the router reaches them; return them."""
        r = self.r
        first = max((label_number(c.labels, REPLICA) for c in self.new), default=0) + 1
        r.output.line(f"starting {r.release.app.container} {r.release.version}" + (f" (x{count})" if count > 1 else ""))
        ids = [self._create(replica) for replica in range(first, first + count)]
        self.undo.add("stopping the new containers", partial(self._stop, ids))
        for container in ids:
            r.engine.start(container)
        batch = [c for c in map(r.engine.container, ids) if c]
        self.new += batch
        self._make_ready(batch)
        return batch

    def _create(self, replica: int) -> str:
        spec = self.r.routed_spec(replica)
        self.r.engine.remove(spec.name, force=True)  # left over from a run of the same deployment that was cut off
        created = self.r.engine.create(spec)
        self.undo.add(f"removing {spec.name}", partial(self.r.engine.remove, created, force=True))
        return created

    def _make_ready(self, batch: Sequence[Container]) -> None:
        self.switch.introduce(servers(self.r.release.app, batch, 0))
        for container in batch:
            self.r.wait_healthy(container.id, lambda c=container: self._verdict(c))  # type: ignore[misc]
        self._await_router(batch, self.r.release.app.health.patience)

    def _verdict(self, container: Container) -> str:
        """Return what the router says of a container that cannot be asked from here, "" for good."""
        if not self.switch.verifies:
            return ""  # nobody has a say
        counts = self.switch.counts().get(alias(container))
        return "" if counts and counts.up else f"HAProxy: {counts.check if counts else 'no check yet'}"

    def _await_router(self, batch: Sequence[Container], patience: float) -> None:
        """Wait until HAProxy's own checks of these containers pass, for so many seconds."""
        end = self.r.clock() + patience
        while counts := self.switch.counts():
            silent = next((c for c in batch if not (alias(c) in counts and counts[alias(c)].reached)), None)
            if silent is None:
                return
            self.require_alive(batch)
            if self.r.clock() > end:
                reason = f"HAProxy does not reach {silent.name}, which is healthy by itself"
                raise self.unreached(silent, reason, counts[alias(silent)].check if alias(silent) in counts else "no check yet")
            if self.r.cancel.wait(TICK):
                raise Cancelled("cancelled while waiting for the router to reach the new containers")

    def hand_over(self, batch: Sequence[Container], leaving: Sequence[Container]) -> None:
        """See `SideBySide`."""
        self.switch.weigh({**{alias(c): FULL for c in batch}, **{alias(c): 0 for c in leaving}})

    def share(self, percent: int) -> None:
        """See `SideBySide`."""
        old, new = weights(len(self.old), len(self.new), percent)
        self.switch.weigh({**{alias(c): old for c in self.old}, **{alias(c): new for c in self.new}})

    def keep_only(self, new: Sequence[Container]) -> None:
        """See `SideBySide`."""
        self.switch.commit(servers(self.r.release.app, new, FULL))

    def move_all(self) -> float | None:
        """Send all requests to the new containers; return the outage in seconds, None if nothing served before."""
        outage = self.switch.commit(servers(self.r.release.app, self.new, FULL))
        if not self.switch.gradual:  # this router asks for the first time
            self._await_router(self.new, min(TRY, self.r.release.app.health.patience))
        self.r.output.line(f"{self.r.release.app.container} {self.r.release.version} serves")
        return outage if self.old else None

    def stop(self, leaving: Sequence[Container]) -> None:
        """Stop old containers; they are kept until `finish`, to be started again if the rest fails."""
        enter_way_back(self.r, self.undo, leaving)
        stop_old(self.r, leaving)

    def finish(self, hold: bool = False) -> None:
        """Give the app's name to the new release and remove everything older, the last one not if it is held.

        The new release serves: what fails here is said, and done by the next deployment.
        """
        r = self.r
        kept = [*self.new, *(self.old if hold else ())]
        with left_to_the_next(r.output):
            self.switch.keep(dict.fromkeys(map(alias, kept), 1))
            take_name(r.engine, r.release.app, self.new[0])
            others = [c for c in r.containers() if all(c.id != k.id for k in kept)]
            stop_old(r, others)
            for container in others:
                r.engine.remove(container.id, force=True)
            if not has_router(r.release.app):
                discard(r.engine, r.release.app)


def find_group(r: Rollout, release: int) -> Group | None:
    """Return the containers of a release behind the router, None if there are none."""
    return next((g for g in look(r.engine, r.release.app).groups if g.routed and g.release == release), None)
