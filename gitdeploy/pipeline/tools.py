"""What one deployment works with: everything that has an effect comes in here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.config.model import App, Config
from gitdeploy.edge.edge import Edge
from gitdeploy.engine.protocol import Builder
from gitdeploy.engine.types import Credentials, EngineInfo
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.releases.state import State
from gitdeploy.source.lfs import LfsStore
from gitdeploy.source.reader import RemoteRepository
from gitdeploy.source.sameserver import SameServer
from gitdeploy.targets.target import Target
from gitdeploy.terminal.console import Console


@dataclass(frozen=True)
class Job:
    """One deployment to do.

    Attributes:
        deployment: its id in state.db.
        app: the server's configuration of the app.
        repository: the bare repository.
        ref: the ref that was pushed, "" for a rollback.
        commit: what to deploy, a full id, "" for a rollback.
        options: push options.
        release: the deployment to roll back to, 0 for none.
    """

    deployment: int
    app: App
    repository: Path
    ref: str
    commit: str
    options: tuple[str, ...] = ()
    release: int = 0


@dataclass(frozen=True)
class Tools(ABC):
    """The tools of one deployment; the worker's attempt is one.

    Attributes:
        config: the server's.
        cancel: set when the deployment is to stop.
        builder: the engine that builds, connected when it is first used.
        edge: what leads domains to apps.
        target: where the app's releases run.
    """

    job: Job
    config: Config
    state: State
    console: Console
    cancel: CancelFlag
    target: Target
    edge: Edge

    @property
    @abstractmethod
    def builder(self) -> Builder: ...

    @abstractmethod
    def open_repository(self) -> RemoteRepository:
        """Open the app's bare repository. Raises StageFailed, and Cancelled at any time."""

    @abstractmethod
    def credentials(self, app: App) -> Credentials:
        """Return an app's registry credentials; the console hides them."""

    @abstractmethod
    def proxies(self) -> Mapping[str, str]:
        """Return variables that every build and container gets unless told otherwise; the console hides passwords in them."""

    @abstractmethod
    def cache_name(self, app: App) -> str:
        """Return the name of an app's build cache."""

    @abstractmethod
    def require_space(self, engine: EngineInfo | None = None) -> None:
        """Raise UnfitError when a disk is nearly full, the engine's with its facts."""

    @abstractmethod
    def build_slot(self) -> AbstractContextManager[None]:
        """Hold one of the places to build on this box; wait for it. Raises Cancelled."""

    @abstractmethod
    def lfs(self) -> LfsStore | None:
        """Return the Git server's store of Git LFS objects, None if there is none."""

    @abstractmethod
    def submodules(self) -> SameServer | None:
        """Return where the submodules of the app's commits may be, None for nowhere."""

    @abstractmethod
    def now(self) -> float:
        """Return the time in seconds since the epoch."""

    @abstractmethod
    def clock(self) -> float:
        """Return seconds of a clock that only goes forward."""
