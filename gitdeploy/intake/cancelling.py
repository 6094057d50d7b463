"""The wish to stop, with its reason; `engine.types.Cancel` is the side that work looks at."""

from __future__ import annotations

import _thread
import contextlib
import re
import signal
import threading
from collections.abc import Collection
from pathlib import Path
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
        """Ask everything that looks at this flag to stop."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()
        for child in self._children:
            child.set(reason)

    def is_set(self) -> bool:
        """Return whether somebody asked."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for up to `timeout` seconds; return whether somebody asked."""
        return self._event.wait(timeout)


def stop_on_sigterm() -> CancelFlag:
    """Return a flag that SIGTERM sets from now on, with the reason "stop"."""
    stop = CancelFlag()
    # In a thread: what the signal interrupts may hold the very lock that setting the flag takes.
    signal.signal(signal.SIGTERM, lambda *_: _thread.start_new_thread(stop.set, ("stop",)))
    return stop


class CancelRequests:
    """Requests of people to stop a deployment: files, for the worker may run in another container than the command line.

    A request names its deployment and stays until that has ended, so that it outlives a crash and never hits a later one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def ask(self, app: str, deployment: int) -> None:
        """Ask the worker of this app to stop this deployment."""
        path = self._path(app, deployment)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)

    def asked(self, app: str, deployment: int) -> bool:
        """Return whether somebody wants this deployment stopped."""
        return self._path(app, deployment).exists()

    def forget(self, app: str, unfinished: Collection[int] = ()) -> None:
        """Remove the requests for deployments of the app that have ended."""
        directory, name = (self._directory / app).parent, re.escape((self._directory / app).name)
        with contextlib.suppress(FileNotFoundError):
            for path in list(directory.iterdir()):
                request = re.fullmatch(rf"{name}\.([0-9]+)\.cancel", path.name)
                if request and int(request[1]) not in unfinished:
                    path.unlink(missing_ok=True)

    def _path(self, app: str, deployment: int) -> Path:
        return self._directory / f"{app}.{deployment}.cancel"
