"""What one deployment may take of the box: disk space must be left, and only so many may build at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.engine.types import Cancel, EngineInfo
from gitdeploy.errors import Cancelled, UnfitError
from gitdeploy.intake.spool import Spool
from gitdeploy.terminal.console import Console
from gitdeploy.worker.site import Site

SLOT_INTERVAL = 0.05
"""Seconds between two tries for a build slot."""


def require_space(site: Site, minimum: int, engine: EngineInfo | None = None) -> None:
    """Raise UnfitError when a disk has less than `minimum` bytes free: the data directory's, and the engine's if it is here.

    An engine behind a socket file is on this machine. Where its data root is not to be seen, as from within a container, or
    the engine is elsewhere, nothing is known and nothing is said.
    """
    places = [(site.home, str(site.home))]
    if engine and engine.local:
        places.append((Path(engine.root), f"the Docker Engine ({engine.root})"))
    for path, name in places:
        try:
            free = shutil.disk_usage(path).free
        except OSError:
            if path == site.home:
                raise
            continue
        if free < minimum:
            reason = f"the disk of {name} has {free / 1e6:.0f} MB free, less than the {minimum / 1e6:.0f} MB of server.min_free"
            raise UnfitError(reason, "free some space (`gitdeploy prune` removes old releases), then `gitdeploy deploy`")


@contextmanager
def build_slot(spool: Spool, parallel: int, console: Console, cancel: Cancel) -> Iterator[None]:
    """Hold one of `parallel` build slots of this box; wait for one. Raises Cancelled."""
    told = False
    while True:
        for number in range(parallel):
            with spool.lock(f".slots/{number}") as got:
                if got:
                    yield
                    return
        if not told:
            console.line(f"    waiting: {parallel} other builds are running (server.parallel)")
            told = True
        if cancel.wait(SLOT_INTERVAL):
            raise Cancelled("cancelled while waiting for a build slot")
