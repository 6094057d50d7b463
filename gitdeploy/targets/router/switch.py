"""The ways in which requests can be moved from one release to the next; which one applies depends on the router.

- ByWeight: the router runs with the right configuration; servers get more or less of the requests, nothing is cut.
- ByReload: HAProxy has to read a new configuration; all requests move at once, running ones end in its old process.
- ByStart: the ports are held by something else (a container without a router, a router with other ports) or by nothing.
- ByOthers: no router of gitdeploy's; the user's own proxy follows the containers, or nothing is published.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Output
from gitdeploy.errors import EngineError, StageFailed
from gitdeploy.targets.router.container import settle
from gitdeploy.targets.router.haproxy import Haproxy
from gitdeploy.targets.router.haproxycfg import FULL, Backend
from gitdeploy.targets.router.runtime import Counts
from gitdeploy.targets.router.scout import Scout
from gitdeploy.targets.router.takeover import let_go
from gitdeploy.targets.undo import attempts

POLL = 0.25
"""Seconds between two questions to HAProxy, each of which is a process in its container."""


class Switch(Protocol):
    """A way to move requests.

    Attributes:
        gradual: whether old and new can share the requests.
        verifies: whether there is a router, which tells if it reaches a container that has no requests yet.
    """

    gradual: bool
    verifies: bool

    def introduce(self, new: Sequence[Backend]) -> None:
        """Make new servers known, without requests; of a service all are given, and those that are known stay."""

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Give servers, by alias, their share."""

    def commit(self, new: Sequence[Backend]) -> float | None:
        """Send all requests to these; return the seconds in which nothing answered, None if nothing had before."""

    def revert(self) -> None:
        """Bring back what was, wherever it had come to."""

    def keep(self, known: Mapping[str, int]) -> None:
        """Forget all servers but so many of each of these aliases."""

    def counts(self) -> Mapping[str, Counts]:
        """Return what each does, by alias; {} where nobody counts."""

    def reached(self, aliases: Iterable[str]) -> int:
        """Return how many servers of these aliases passed a check of the router's own; 0 where nobody checks."""


class ByWeight:
    """Through a running router."""

    gradual = True
    verifies = True

    def __init__(self, router: Haproxy, app: App) -> None:
        self._router = self._asked = router
        self._app = app
        self._before = router.servers

    def introduce(self, new: Sequence[Backend]) -> None:
        known = Counter(server.alias for server in self._asked.servers)
        added = []
        for server in new:
            if known[server.alias] > 0:
                known[server.alias] -= 1
            else:
                added.append(replace(server, weight=0))
        self._asked.apply([*self._asked.servers, *added])

    def weigh(self, weights: Mapping[str, int]) -> None:
        self._router.apply([replace(s, weight=weights.get(s.alias, s.weight)) for s in self._router.servers])

    def commit(self, new: Sequence[Backend]) -> float | None:
        chosen = {server.alias for server in new}
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

    def keep(self, known: Mapping[str, int]) -> None:
        room = Counter(known)
        kept = []
        for server in self._router.servers:
            if room[server.alias] > 0:
                kept.append(server)
                room[server.alias] -= 1
        self._router.apply(kept)

    def counts(self) -> Mapping[str, Counts]:
        return self._asked.counts()

    def reached(self, aliases: Iterable[str]) -> int:
        return self._asked.reached(aliases)


class ByReload(ByWeight):
    """Through a running router that has to read a new configuration first, so nobody gets a share before; a scout is asked."""

    gradual = False

    def __init__(self, router: Haproxy, app: App) -> None:
        super().__init__(router, app)
        self._asked = self._scout = Scout(router, app)
        self._file = router.file()
        self._known = router.known
        self._began = False

    def commit(self, new: Sequence[Backend]) -> float | None:
        self._scout.start()  # which it was not where fewer of the same are to serve
        self._began = True
        self._router.reload([replace(server, weight=FULL) for server in new], self._file)
        self._asked = self._router
        return 0.0

    def revert(self) -> None:
        restore = partial(self._router.restore, self._file, self._known)
        again = [restore] if self._began and attempts(restore) else []  # nothing else brings the old configuration back
        if failed := attempts(*again, self._scout.remove):
            raise StageFailed("; ".join(failed))

    def keep(self, known: Mapping[str, int]) -> None:
        super().keep(known)
        self._scout.remove()


@dataclass
class ByStart(ByWeight):
    """By starting a router that was made for it, once the ports are free; until then a scout is asked.

    Attributes:
        router: made and not started.
        old_router: stopped for it; it comes back with what it has in its own file.
        held: whether something else holds the ports and serves.
        free: makes that give them up.
        back: each gives something its ports back.
    """

    engine: Engine
    app: App
    router: Haproxy
    clock: Callable[[], float]
    output: Output
    old_router: Haproxy | None = None
    held: bool = False
    free: Callable[[], object] = lambda: None
    back: Sequence[Callable[[], object]] = ()
    gradual = False

    def __post_init__(self) -> None:
        super().__init__(self.router, self.app)
        self._asked = self._scout = Scout(self.router, self.app)

    def commit(self, new: Sequence[Backend]) -> float | None:
        self._scout.start()
        self.router.load([replace(server, weight=FULL) for server in new])
        if not self.held:
            self.router.prepare()
        if held := self.old_router is not None or self.held:
            self.output.line(f"the router takes over the ports: connections are cut once, for {self.router.TAKES_OVER}")
        began = self.clock()
        if self.old_router:
            self.old_router.stop()
        self.free()
        try:
            self.router.start()
        except EngineError as error:
            raise StageFailed(f"the router could not be started: {error.reason}", error.hint) from error
        self._asked = self.router
        return self.clock() - began if held else None

    def revert(self) -> None:
        old = [self.old_router.start] if self.old_router else []
        if failed := attempts(self.router.give_up, self._remove_router, *old, *self.back, self._scout.remove):
            raise StageFailed("; ".join(failed))

    def _remove_router(self) -> None:
        """Remove the new router; if that fails it is at least ended, for it may hold the ports."""
        let_go(self.engine, self.app, self.router.container)
        self.engine.remove(self.router.container, force=True)

    def keep(self, known: Mapping[str, int]) -> None:
        settle(self.engine, self.app, self.router.container)


class ByOthers:
    """Without a router of gitdeploy's."""

    gradual = True
    verifies = False

    def introduce(self, new: Sequence[Backend]) -> None:
        """Whoever routes to them finds them by their labels."""

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Nobody to be told."""

    def commit(self, new: Sequence[Backend]) -> float | None:
        return 0.0

    def revert(self) -> None:
        """Nothing was changed."""

    def keep(self, known: Mapping[str, int]) -> None:
        """Nobody remembers anything."""

    def counts(self) -> Mapping[str, Counts]:
        return {}

    def reached(self, aliases: Iterable[str]) -> int:
        return 0
