"""The wish to stop, with its reason; `engine.types.Cancel` is the side that work looks at."""

from __future__ import annotations

import threading
from typing import Literal

Reason = Literal["", "request", "newer push", "stop", "failed", "timeout"]


class CancelFlag:
    """An event that remembers why it was set first, and sets the flags derived from it.

    Attributes:
        reason: "request" (gitdeploy cancel), "newer push", "stop" (the worker is being stopped, the deployment is to be done
            later), "failed" (another part of the same deployment failed), "timeout", "" while it is not set.
    """

    def __init__(self, parent: CancelFlag | None = None) -> None:
        self.reason: Reason = ""
        self._event = threading.Event()
        self._children: list[CancelFlag] = []
        if parent:
            parent._children.append(self)
            if parent.is_set():
                self.set(parent.reason)

    def set(self, reason: Reason) -> None:
        """Asks everything that looks at this flag to stop."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()
        for child in self._children:
            child.set(reason)

    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for up to `timeout` seconds; returns whether somebody asked."""
        return self._event.wait(timeout)
