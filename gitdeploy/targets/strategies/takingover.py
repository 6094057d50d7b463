"""A release on its way to be live on some target, as strategies and gates know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitdeploy.errors import Cancelled
from gitdeploy.targets.target import Incoming


@dataclass(frozen=True, kw_only=True)
class TakingOver(Incoming):
    """A release to bring live.

    Attributes:
        clock: seconds, monotonic.
        committed: waits until the app's other processes run, too, and calls `serves`; raises if one of them failed. Called
            after the switch, before anything old is destroyed.
        alone: whether the app has no other process.
    """

    clock: Callable[[], float]
    committed: Callable[[], object] = lambda: None
    alone: bool = True

    @property
    def reusable(self) -> int:
        """The release whose replicas may serve again, 0 for none: an app's processes all run as the same one."""
        return self.reuse if self.alone else 0

    def require_published(self) -> None:
        """Wait for the image to be in the registry. Raises what went wrong there, or Cancelled."""
        self.published()
        if self.cancel.is_set():
            raise Cancelled("cancelled before the switch")
