"""Everything that `gitdeploy doctor` looks at, in order. A check that fails says so and leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gitdeploy.config.model import App, Config, Server
from gitdeploy.doctor.engine import examine_engine
from gitdeploy.doctor.files import examine_files, look_at_file
from gitdeploy.doctor.finding import Finding, Level, from_error
from gitdeploy.doctor.gogs import examine_gogs
from gitdeploy.doctor.machine import examine_disks, judge_packages, look_at_packages
from gitdeploy.doctor.registry import examine_registries
from gitdeploy.doctor.repository import Expected, Repository, examine_repository, find_repositories, judge_repositories
from gitdeploy.doctor.secrets import examine_secrets
from gitdeploy.doctor.waiting import examine_queue
from gitdeploy.engine.types import Credentials, Engine
from gitdeploy.enrol import hook_text
from gitdeploy.errors import ConfigError, GitdeployError
from gitdeploy.gogs import Gogs, has_gogs, read_gogs
from gitdeploy.hookconf import HookConf, Mode


@dataclass(frozen=True)
class Installation:
    """What is examined; `cli` fills it in.

    Attributes:
        home: the gitdeploy directory, which need not exist.
        mode: "direct" or "agent".
        host: DOCKER_HOST.
        load_config: reads config.toml; raises ConfigError.
        connect: connects to the engine; raises UnfitError.
        credentials: an app's registry credentials; raises UnfitError.
        hook_conf: what the hook of an app is to know; the paths are the gitdeploy directory as the Git server may see it.
        now: seconds since the epoch.
    """

    home: Path
    mode: Mode
    host: str
    load_config: Callable[[], Config]
    connect: Callable[[], Engine]
    credentials: Callable[[App], Credentials]
    hook_conf: Callable[[App, Config, Sequence[str]], HookConf]
    now: Callable[[], float]


class Examination:
    """One examination; later checks use what earlier ones found."""

    def __init__(self, installation: Installation) -> None:
        self._at = installation
        self._findings: list[Finding] = []
        self._config: Config | None = None
        self._gogs: Gogs | None = None
        self._repositories: list[Repository] = []
        self._engine: Engine | None = None

    def run(self) -> list[Finding]:
        """Looks at everything; a check that fails is a finding, too."""
        home, mode, now = self._at.home, self._at.mode, self._at.now()
        self._check("versions", lambda: [judge_packages(look_at_packages())])
        if self._is_there(home, "set GITDEPLOY_HOME, as DIR/gitdeploy/bin/gitdeploy does; install.sh makes it"):
            self._check("config.toml", self._read_config)
            self._check("Gogs", self._find_gogs)
            self._check("repository", self._find_repositories)
            self._check("owner", lambda: examine_files(home, mode, self._server_user()))
            for repository in self._repositories:
                self._check("hook", partial(self._examine_repository, repository))
            if self._is_there(home / "spool", "run install.sh again"):
                self._check("queue", lambda: examine_queue(home, mode, now))
        self._check("engine", self._reach_engine)
        self._check("disk", self._examine_disks)
        self._check("registry", self._examine_registries)
        self._check("secrets", lambda: examine_secrets(self._apps.values()))
        if self._gogs:
            self._check("Gogs", partial(examine_gogs, self._gogs, self._names(), now))
        return self._findings

    def _check(self, check: str, look: Callable[[], Iterable[Finding]]) -> None:
        """Runs one check; what it has found before it failed counts."""
        try:
            for finding in look():
                self._findings.append(finding)
        except GitdeployError as error:
            self._findings.append(from_error(check, error))
        except OSError as error:
            found = f"{error.filename or self._at.home}: {error.strerror or error}"
            self._findings.append(Finding("error", check, found, "run this as root, or as the owner of the installation"))
        except Exception as error:
            found = f"this check failed: {type(error).__name__}: {error}"
            self._findings.append(Finding("warning", check, found, "this is a mistake of gitdeploy: please report it"))

    def _is_there(self, directory: Path, fix: str) -> bool:
        """Whether there is such a directory; a finding if there is none."""
        facts = look_at_file(directory)
        if facts.kind not in ("directory", "symlink"):
            found = f"expected a directory at {directory}, which {facts.problem or 'is a file'}"
            self._findings.append(Finding("error", "installation", found, fix))
        return facts.kind in ("directory", "symlink")

    @property
    def _apps(self) -> Mapping[str, App]:
        return self._config.apps if self._config else {}

    def _read_config(self) -> Iterator[Finding]:
        try:
            self._config = self._at.load_config()
        except ConfigError as error:
            for problem in error.problems:
                yield Finding("error", "config.toml", problem, error.hint)
            return
        for warning in self._config.warnings:
            yield Finding("warning", "config.toml", warning, "put it right, then: gitdeploy config check")
        count = len(self._apps)
        yield Finding("ok", "config.toml", f"{self._config.source}: {count} app{'s' if count != 1 else ''}, no mistakes")

    def _find_gogs(self) -> Iterator[Finding]:
        data = self._at.home.parent
        if not has_gogs(data):
            yield Finding("ok", "Gogs", f"none in {data}: only repositories that config.toml names are looked at")
            return
        self._gogs = read_gogs(data)
        count = sum(1 for _ in self._gogs.repositories())
        level: Level = "ok" if count else "warning"
        fix = f"see whether [repository] ROOT in {self._gogs.ini} is where Gogs keeps its repositories"
        yield Finding(level, "Gogs", f"{count} repositories in {self._gogs.root}", fix)

    def _find_repositories(self) -> Iterator[Finding]:
        if self._gogs is None and has_gogs(self._at.home.parent):
            return  # it cannot be read, which is a finding already
        self._repositories, problems = find_repositories(self._apps, self._gogs)
        yield from problems
        if self._config:
            yield from judge_repositories(self._repositories)

    def _server_user(self) -> int | None:
        """The user that the Git server runs as: whoever owns the repositories. None if there are none."""
        places = [self._gogs.root] if self._gogs else [repository.path for repository in self._repositories]
        return places[0].stat().st_uid if places else None

    def _examine_repository(self, repository: Repository) -> Iterator[Finding]:
        home, config = self._at.home, self._config
        homes = self._gogs.homes if self._gogs else (str(home),)
        conf = self._at.hook_conf(repository.app, config, homes) if repository.app and config else None
        mtime = config.source.stat().st_mtime_ns if config else 0
        bare = self._gogs is None or (repository.app is not None and repository.app.repository is not None)
        yield from examine_repository(repository, Expected(home.resolve(), hook_text(), conf, mtime), bare=bare)

    def _reach_engine(self) -> Iterator[Finding]:
        engine = self._at.connect()
        yield from examine_engine(engine, self._at.host)
        self._engine = engine

    def _examine_disks(self) -> Iterable[Finding]:
        local = self._engine is not None and self._at.host.startswith("unix://")
        root = Path(self._engine.info().root) if self._engine and local else None
        return examine_disks(self._at.home, root, (self._config.server if self._config else Server()).min_free)

    def _examine_registries(self) -> Iterable[Finding]:
        login = self._engine.login if self._engine else None
        return examine_registries(self._apps.values(), self._at.credentials, login)

    def _names(self) -> dict[str, str]:
        """Each repository as Gogs calls it now, "owner/name", to its app."""
        return {f"{r.path.parent.name}/{r.path.name.removesuffix('.git')}": r.name for r in self._repositories}
