"""What one deployment works with: everything that has an effect comes in here."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from gitdeploy.config.model import App, Config
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Credentials, EngineInfo
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline.journal import Journal
from gitdeploy.releases.state import State
from gitdeploy.source.reader import Repository
from gitdeploy.source.sameserver import SameServer
from gitdeploy.targets.docker.ownership import Here
from gitdeploy.terminal.console import Console


@dataclass(frozen=True)
class Tools:
    """The tools of one deployment.

    Attributes:
        engine: returns the engine, connected when it is asked for first.
        credentials: an app's registry credentials.
        cache_name: the name of an app's build cache.
        require_space: raises UnfitError when a disk is nearly full, the engine's with its facts.
        build_slot: held while building, so that the box is not overrun.
        lfs: returns Gogs' store of Git LFS objects, None if there is none.
        submodules: says, for the app's bare repository, where the submodules of its commits may be; None for nowhere.
        open_repository: opens the app's bare repository; raises StageFailed, and Cancelled at any time.
        here: this installation, so that no app takes the place of a part of it.
        now: seconds since the epoch.
        clock: seconds, monotonic.
    """

    config: Config
    state: State
    console: Console
    journal: Journal
    cancel: CancelFlag
    engine: Callable[[], Engine]
    credentials: Callable[[App], Credentials]
    cache_name: Callable[[App], str]
    require_space: Callable[[EngineInfo], None]
    build_slot: Callable[[], AbstractContextManager[None]]
    lfs: Callable[[], Path | None]
    submodules: Callable[[Path], SameServer | None]
    open_repository: Callable[[Path], Repository]
    here: Here = field(default_factory=Here)
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
