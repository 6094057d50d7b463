"""One installation of gitdeploy, as the worker and the command line see it: where things are and how to reach them."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gitdeploy.releases.state import State

if TYPE_CHECKING:
    from gitdeploy.config.model import App, Config
    from gitdeploy.edge.edge import Edge
    from gitdeploy.engine.protocol import Engine
    from gitdeploy.engine.types import Credentials
    from gitdeploy.gitserver.gitserver import GitServer
    from gitdeploy.gitserver.hookconf import Mode
    from gitdeploy.intake.spool import Spool
    from gitdeploy.source.sameserver import SameServer
    from gitdeploy.targets.target import Target
    from gitdeploy.worker.readers import Readers


class LoadConfig(Protocol):
    """See `config.load.load_config`."""

    def __call__(self, app: str = "") -> Config: ...


@dataclass(frozen=True)
class Site:
    """An installation; `cli` fills it in.

    Attributes:
        home: where config.toml, state.db, logs and locks are: DIR/gitdeploy; in agent mode the agent's own directory.
        data: the Git server's data directory, DIR.
        spool: where pushes wait, DIR/gitdeploy/spool.
        load_config: reads config.toml, for the app of that name or, with "", for all; raises ConfigError.
        find_repository: finds the Git server's repository of an app, given the directory that a push record names and what the
            repository was called when it was enrolled.
        connect: connects to the engine; raises UnfitError.
        credentials: an app's registry credentials.
        proxies: variables that every build and container gets, as Docker's own config.json says.
        submodules: says, for an app's bare repository, where the submodules of its commits may be; None for nowhere.
        make_readers: makes `readers`.
        git_server: returns the Git server whose data directory that is, None where there is none; raises UnfitError.
        host: this machine's name, for "is live at".
        refresh_hook: brings what an app's hook knows up to date with the config; never fails a deployment.
        install_hook: puts the hook into an app's repository, or brings it up to date; returns whether anything changed.
        homes: returns the gitdeploy directory as the Git server may see it; raises UnfitError.
        mode: "direct" or "agent".
        container: the beginning of the id of the container that this runs in, "" for none.
        now: seconds since the epoch.
        clock: seconds, monotonic.
    """

    home: Path
    data: Path
    spool: Spool
    load_config: LoadConfig
    find_repository: Callable[[str, str, str], Path]
    connect: Callable[[], Engine]
    credentials: Callable[[App], Credentials]
    proxies: Callable[[], Mapping[str, str]]
    submodules: Callable[[Path], SameServer | None]
    make_readers: Callable[[], Readers]
    git_server: Callable[[], GitServer | None]
    host: str
    refresh_hook: Callable[[App, Config, Path], None]
    install_hook: Callable[[App, Config, Path], bool]
    homes: Callable[[], tuple[str, ...]]
    mode: Mode = "direct"
    container: str = ""
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic

    @cached_property
    def readers(self) -> Readers:
        """What opens repositories."""
        return self.make_readers()

    def repository(self, app: App, seen: str = "") -> Path:
        """Return the app's bare repository; `seen` is the directory that a push record names. Raises UsageError for none."""
        return app.bare or self.find_repository(app.name, seen, app.served_by)

    def target(self, engine: Callable[[], Engine], credentials: Callable[[App], Credentials] | None = None) -> Target:
        """Return where releases run. Takes what gives the engine, and an app's credentials where `credentials` is not to."""
        # Every verb makes a Site, and few of them ask for a target: its strategies need not be imported before that.
        from gitdeploy.targets.byapp import TargetByApp  # noqa: PLC0415
        from gitdeploy.targets.target import Here, Surroundings  # noqa: PLC0415

        here = Here(self.container, (self.home, self.data))
        return TargetByApp(Surroundings(engine, credentials or self.credentials, here, self.now, self.clock))

    def edge(self, config: Config, state: State, engine: Callable[[], Engine]) -> Edge:
        """Return what leads domains to apps. Takes all of config.toml."""
        from gitdeploy.targets.upstream import box_edge  # noqa: PLC0415 - as above

        return box_edge(self.home, config, state, engine, self.credentials, now=self.now, clock=self.clock)

    def open_state(self) -> State:
        """Open state.db. A new one goes on counting above the logs that are there, so that no log is written twice."""
        path = self.home / "state.db"
        if path.exists():
            return State(path)
        ids = [int(log.stem) for log in (self.home / "logs").glob("*/*/*.log") if re.fullmatch("[0-9]{1,15}", log.stem)]
        return State(path, first_id=max(ids, default=0) + 1)

    def log_path(self, app: str, deployment: int) -> Path:
        """Return the console log of one deployment."""
        return self.home / "logs" / app / f"{deployment}.log"

    def run_log(self, app: str, run: int) -> Path:
        """Return the log of one run of a schedule."""
        return self.home / "logs" / app / f"run-{run}.log"

    def latest_log(self, app: str) -> Path:
        """Return the link to an app's newest console log."""
        return self.home / "logs" / app / "latest.log"

    def point_latest_log(self, app: str, deployment: int) -> None:
        """Make that link lead to this deployment's log."""
        link = self.latest_log(app)
        temporary = link.with_name(".latest.tmp")
        temporary.unlink(missing_ok=True)  # of a run that was killed between the next two lines
        temporary.symlink_to(f"{deployment}.log")
        temporary.rename(link)

    def drop_old_logs(self, app: str, keep: int) -> None:
        """Remove all but the newest `keep` logs of an app's deployments, and of runs of its schedules."""
        found = self.latest_log(app).parent.glob("*.log")
        numbered = [
            (match[1], int(match[2]), path) for path in found if (match := re.fullmatch("(run-|)([0-9]{1,15})", path.stem))
        ]
        for kind in ("", "run-"):
            logs = [path for prefix, _, path in sorted(numbered) if prefix == kind]
            for path in logs[: max(0, len(logs) - keep)]:
                with contextlib.suppress(OSError):
                    path.unlink()
