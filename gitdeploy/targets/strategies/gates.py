"""The two gates that the rollouts of an app's processes pass together: before the switch, and before anything old is destroyed.

At the first, "web" waits until every other process has a new container that is healthy, and every other process waits until
"web" serves. At the second, each waits until all of them run. One that fails closes both, and so each undoes what it did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from gitdeploy.config.model import WEB
from gitdeploy.engine.types import Cancel
from gitdeploy.errors import Cancelled, StageFailed

LOOK = 0.05
"""Seconds between two looks whether the deployment is cancelled."""


class OtherFailed(StageFailed):
    """Another process of the app failed, which says why."""


class Gates:
    """The gates of one deployment, and the wish to stop that they bring about; threads share it."""

    def __init__(self, processes: Collection[str], cancel: Cancel) -> None:
        """Begin closed.

        Args:
            processes: all that are to pass.
            cancel: of the deployment.
        """
        self._others = frozenset(processes) - {WEB}
        self._all = frozenset(processes) | {WEB}
        self._cancel = cancel
        self._changed = threading.Condition()
        self._ready: set[str] = set()
        self._running: set[str] = set()
        self._open = False
        self._broken = False

    def switch(self, process: str, published: Callable[[], object]) -> None:
        """Pass the first gate, or wait before it; one that has passed it may do so again.

        Args:
            process: who is there: it is healthy, as far as that can be before the switch.
            published: waits until the image is in the registry; only "web" does.

        Raises:
            OtherFailed, Cancelled: and what `published` raises.
        """
        if process == WEB:
            published()
            self._await(lambda: self._ready >= self._others)
        else:
            with self._changed:
                self._ready.add(process)
                self._changed.notify_all()
            self._await(lambda: WEB in self._running)

    def commit(self, process: str) -> None:
        """Pass the second gate, or wait before it: this process runs, and can still go back. Raises OtherFailed, Cancelled."""
        with self._changed:
            self._running.add(process)
            self._open |= self._running >= self._all and not self._broken
            self._changed.notify_all()
        self._await(lambda: self._open)

    def close(self) -> None:
        """Let nobody pass any more, unless all have passed the second gate."""
        with self._changed:
            self._broken = not self._open
            self._changed.notify_all()

    def is_set(self) -> bool:
        """Return whether there is no use in going on, as `Cancel` has it."""
        return self._broken or (self._cancel.is_set() and not self._open)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for that, up to `timeout` seconds, as `Cancel` has it."""
        with self._changed:
            return self._wait(self.is_set, timeout)

    def _await(self, passed: Callable[[], bool]) -> None:
        with self._changed:
            self._wait(lambda: passed() or self.is_set())
            if self._broken:
                raise OtherFailed("another process of the app failed")
            if not passed():
                self._broken = True
                self._changed.notify_all()
                raise Cancelled("cancelled while the app's processes waited for one another")

    def _wait(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait under the lock; nobody tells when the deployment is cancelled, so that is looked for."""
        left = float("inf") if timeout is None else timeout
        while not condition() and left > 0:
            self._changed.wait(min(LOOK, left))
            left -= LOOK
        return condition()
