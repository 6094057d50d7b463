"""One installation of gitdeploy, as the worker and the command line see it: where things are and how to reach them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.config.model import App, Config
from gitdeploy.engine.types import Credentials, Engine
from gitdeploy.spool import Spool
from gitdeploy.state import State


@dataclass(frozen=True)
class Site:
    """An installation; `cli` fills it in.

    Attributes:
        home: the gitdeploy directory, DIR/gitdeploy.
        load_config: reads config.toml; raises ConfigError.
        repository: finds an app's bare repository, given the directory that a push record names, "" for none.
        connect: connects to the engine; raises UnfitError.
        credentials: an app's registry credentials.
        lfs: Gogs' store of Git LFS objects, None if there is none.
        host: this machine's name, for "is live at".
        now: seconds since the epoch.
        clock: seconds, monotonic.
    """

    home: Path
    load_config: Callable[[], Config]
    repository: Callable[[App, str], Path]
    connect: Callable[[], Engine]
    credentials: Callable[[App], Credentials]
    lfs: Path | None
    host: str
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic

    @property
    def spool(self) -> Spool:
        """Where pushes wait."""
        return Spool(self.home)

    def open_state(self) -> State:
        """Opens state.db. A new one goes on counting above the logs that are there, so that no log is written twice."""
        path = self.home / "state.db"
        if path.exists():
            return State(path)
        ids = [int(log.stem) for log in (self.home / "logs").glob("*/*/*.log") if re.fullmatch("[0-9]{1,15}", log.stem)]
        return State(path, first_id=max(ids, default=0) + 1)

    def log_path(self, app: str, deployment: int) -> Path:
        """The console log of one deployment."""
        return self.home / "logs" / app / f"{deployment}.log"

    def latest_log(self, app: str) -> Path:
        """The link to an app's newest console log."""
        return self.home / "logs" / app / "latest.log"
