"""The ways in which requests can be moved from one release to the next; which one applies depends on the router.

- ByWeight: the router runs with the right configuration; servers get more or less of the requests, nothing is cut.
- ByReload: HAProxy has to read a new configuration; all requests move at once, running ones end in its old process.
- ByStart: the ports are held by something else (a container without a router, a router with other ports) or by nothing.
- ByOthers: no router of gitdeploy's; the user's own proxy follows the containers, or nothing is published.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container, Output
from gitdeploy.errors import EngineError, StageFailed
from gitdeploy.targets.docker.rollout.found import alias
from gitdeploy.targets.docker.rollout.takeover import free_ports, let_go, put_back
from gitdeploy.targets.docker.router.container import network_name, settle
from gitdeploy.targets.docker.router.haproxy import Haproxy
from gitdeploy.targets.docker.router.haproxycfg import FULL, Backend
from gitdeploy.targets.docker.router.runtime import Counts
from gitdeploy.targets.undo import attempts

POLL = 0.25
"""Seconds between two questions to HAProxy, each of which is a process in its container."""


class Switch(Protocol):
    """A way to move requests.

    Attributes:
        gradual: whether old and new can share the requests.
        verifies: whether the router tells if it reaches a container that has no requests yet.
    """

    gradual: bool
    verifies: bool

    def introduce(self, new: Sequence[Container]) -> None:
        """Make new containers known, without requests."""

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Give containers, by alias, their share."""

    def commit(self, new: Sequence[Container]) -> float | None:
        """Send all requests to these; return the seconds in which nothing answered, None if nothing had before."""

    def revert(self) -> None:
        """Bring back what was, wherever it had come to."""

    def keep(self, known: Sequence[Container]) -> None:
        """Forget all containers but these."""

    def counts(self) -> Mapping[str, Counts]:
        """Return what each container does, by alias; {} where nobody counts."""


class ByWeight:
    """Through a running router."""

    gradual = True
    verifies = True

    def __init__(self, router: Haproxy, app: App) -> None:
        self._router = router
        self._app = app
        self._before = router.servers

    def introduce(self, new: Sequence[Container]) -> None:
        known = {server.alias for server in self._router.servers}
        added = [server for server in servers(self._app, new, 0) if server.alias not in known]
        self._router.apply([*self._router.servers, *added])

    def weigh(self, weights: Mapping[str, int]) -> None:
        self._router.apply([replace(s, weight=weights.get(s.alias, s.weight)) for s in self._router.servers])

    def commit(self, new: Sequence[Container]) -> float | None:
        chosen = set(map(alias, new))
        self.weigh({s.alias: FULL if s.alias in chosen else 0 for s in self._router.servers})
        return 0.0

    def revert(self) -> None:
        container = self._router.engine.container(self._router.container)
        if container is None:
            raise StageFailed("the router's container is gone", "deploy again: that makes a new one")
        if container.running and not attempts(self._take_back):
            return
        if failed := attempts(partial(self._router.load, self._before), self._router.restart):
            raise StageFailed("; ".join(failed))

    def _take_back(self) -> None:
        """Let requests that the new containers were given end there, but give them no more."""
        before = {server.alias for server in self._before}
        newcomers = [replace(s, weight=0) for s in self._router.servers if s.alias not in before]
        self._router.apply([*self._before, *newcomers])
        end = time.monotonic() + self._app.router.drain_timeout
        while time.monotonic() < end:
            counts = self.counts()
            if not any(counts[server.alias].current for server in newcomers):
                break
            time.sleep(POLL)
        self._router.apply(self._before)

    def keep(self, known: Sequence[Container]) -> None:
        chosen = set(map(alias, known))
        self._router.apply([server for server in self._router.servers if server.alias in chosen])

    def counts(self) -> Mapping[str, Counts]:
        return self._router.counts()


class ByReload(ByWeight):
    """Through a running router that has to read a new configuration first, so nobody gets a share before."""

    gradual = False
    verifies = False

    def __init__(self, router: Haproxy, app: App) -> None:
        super().__init__(router, app)
        self._file = router.file()

    def introduce(self, new: Sequence[Container]) -> None:
        """Nobody is told: the running configuration does not fit them."""

    def commit(self, new: Sequence[Container]) -> float | None:
        self._router.reload(servers(self._app, new, FULL), self._file)
        return 0.0

    def revert(self) -> None:
        if attempts(partial(self._router.restore, self._file)):
            self._router.restore(self._file)  # once more: nothing else brings the old configuration back


@dataclass
class ByStart:
    """By starting a router that was made for it, once the ports are free.

    Attributes:
        router: made and not started.
        old_router: stopped for it; it comes back with what it has in its own file.
        direct: containers that hold the ports themselves.
    """

    engine: Engine
    app: App
    router: Haproxy
    clock: Callable[[], float]
    output: Output
    old_router: Haproxy | None = None
    direct: Sequence[Container] = ()
    gradual: bool = False
    verifies: bool = False

    def introduce(self, new: Sequence[Container]) -> None:
        """Nobody is there to be told."""

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Nobody shares anything."""

    def commit(self, new: Sequence[Container]) -> float | None:
        self.router.load(servers(self.app, new, FULL))
        held = self.old_router is not None or any(c.running for c in self.direct)
        if held:
            self.output.line("the router takes over the ports: connections are cut once, for less than a second")
        began = self.clock()
        if self.old_router:
            self.engine.stop(self.old_router.container, 0)
        free_ports(self.engine, self.app, self.direct)
        try:
            self.router.start()
        except EngineError as error:
            raise StageFailed(f"the router could not be started: {error.reason}", error.hint) from error
        return self.clock() - began if held else None

    def revert(self) -> None:
        back = [partial(put_back, self.engine, self.app, c) for c in self.direct if c.running]
        old = [self.old_router.start] if self.old_router else []
        if failed := attempts(self._remove_router, *old, *back):
            raise StageFailed("; ".join(failed))

    def _remove_router(self) -> None:
        """Remove the new router; if that fails it is at least ended, for it may hold the ports."""
        let_go(self.engine, self.app, self.router.container)
        self.engine.remove(self.router.container, force=True)

    def keep(self, known: Sequence[Container]) -> None:
        settle(self.engine, self.app, self.router.container)

    def counts(self) -> Mapping[str, Counts]:
        return self.router.counts()


class ByOthers:
    """Without a router of gitdeploy's."""

    gradual = True
    verifies = False

    def introduce(self, new: Sequence[Container]) -> None:
        """Whoever routes to them finds them by their labels."""

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Nobody to be told."""

    def commit(self, new: Sequence[Container]) -> float | None:
        return 0.0

    def revert(self) -> None:
        """Nothing was changed."""

    def keep(self, known: Sequence[Container]) -> None:
        """Nobody remembers anything."""

    def counts(self) -> Mapping[str, Counts]:
        return {}


def servers(app: App, containers: Sequence[Container], weight: int) -> list[Backend]:
    """Return the containers as the router knows them, all with that weight. Pure."""
    network = network_name(app)
    return [Backend(alias(c), c.addresses.get(network, ""), weight) for c in containers]
