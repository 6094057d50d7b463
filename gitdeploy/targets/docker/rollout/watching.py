"""An eye on the new containers while requests move to them, and on what still runs in the old ones."""

from __future__ import annotations

from collections.abc import Sequence

from gitdeploy.config.model import WEB
from gitdeploy.engine.types import Container
from gitdeploy.errors import StageFailed
from gitdeploy.targets.docker.health import failure, gone_wrong
from gitdeploy.targets.docker.rollout.found import alias
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.router.container import network_name
from gitdeploy.targets.router.runtime import Counts
from gitdeploy.targets.router.switch import Switch
from gitdeploy.targets.strategies import draining

NO_PACKETS = ("L4TOUT", "L4CON No route to host")
"""What HAProxy's check says of a container from which nothing comes back: docs.haproxy.org, `show stat`, check_status."""

BETWEEN = (
    "containers on the network {network} do not reach one another, though this machine reaches them: a firewall's rules are"
    " between (iptables -S FORWARD, nft list ruleset); those of an engine that was switched to another firewall-backend stay"
    " until they are flushed or the machine starts anew"
)


class Watched:
    """The containers of two releases, as the engine and the router see them.

    Attributes:
        old: containers that served when it began, [] for none.
        new: containers of the new release so far.
        switch: moves requests from the one to the other.
    """

    r: Rollout
    switch: Switch
    old: list[Container]
    new: list[Container]

    def counts(self) -> tuple[Counts, Counts]:
        """See `SideBySide`."""
        each = self.switch.counts()
        old, new = ([each[alias(c)] for c in side if alias(c) in each] for side in (self.old, self.new))
        return sum(old, Counts()), sum(new, Counts())

    @property
    def _followed(self) -> bool:
        """Whether requests may come to the new containers only now; nothing is sent to a worker."""
        app = self.r.release.app
        return app.process == WEB or bool(app.publish or app.led_to or app.run.labels)

    def drain(self, leaving: Sequence[Container]) -> None:
        """Wait until what runs in `leaving` has ended, with an eye on the new containers. Raises StageFailed if they break."""
        if leaving:
            counted = self.switch.gradual and self.switch.verifies
            watch = (draining.WATCH if counted else draining.FOLLOW) if self._followed else 0.0
            draining.drain(self.r, watch, lambda: self.require_alive(self.new), lambda: self._report(leaving))

    def _report(self, leaving: Sequence[Container]) -> int:
        """Return how much runs in `leaving`. Raises StageFailed for a new container that HAProxy finds down."""
        counts = self.switch.counts()
        for container in self.new if counts else ():
            mine = counts.get(alias(container))
            if mine and not mine.up:
                reason = f"HAProxy lost the new container {container.name}"
                raise self.unreached(container, reason, mine.check)
        return sum(counts[alias(c)].current for c in leaving if alias(c) in counts)

    def unreached(self, container: Container, reason: str, check: str) -> StageFailed:
        """Return the error for a container that HAProxy finds down, with what its check said."""
        error = failure(self.r.engine, container.id, reason, [check])
        if check.startswith(NO_PACKETS):
            error.hint = BETWEEN.format(network=network_name(self.r.release.app))
        return error

    def require_alive(self, containers: Sequence[Container]) -> None:
        """Raise StageFailed if one of these has ended."""
        for container in containers:
            if wrong := gone_wrong(self.r.engine.container(container.id)):
                raise failure(self.r.engine, container.id, wrong)

    def require_serving(self) -> None:
        """Raise StageFailed if a new container has ended, or HAProxy finds it down."""
        self.require_alive(self.new)
        self._report(())
