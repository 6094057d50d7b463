"""Everything that `gitdeploy doctor` looks at, in order. A check that fails says so and leaves the others alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.load import load_config
from gitdeploy.config.model import App, Config
from gitdeploy.config.sections import Server
from gitdeploy.doctor.apps import examine_apps
from gitdeploy.doctor.auditlog import examine_audit
from gitdeploy.doctor.clustercheck import examine_cluster, port_taken
from gitdeploy.doctor.domains import examine_domains, vantage
from gitdeploy.doctor.engine import examine_engine
from gitdeploy.doctor.finding import Finding, Level, from_error
from gitdeploy.doctor.gitservers import examine_newcomers, examine_server
from gitdeploy.doctor.logins import examine_registries
from gitdeploy.doctor.machine import examine_disks, judge_packages, look_at_packages
from gitdeploy.doctor.permissions import User, examine_files, look_at_file
from gitdeploy.doctor.policies import judge_policies
from gitdeploy.doctor.repositories import Expected, FoundRepository, examine_repository, find_repositories, judge_repositories
from gitdeploy.doctor.routers import examine_routers
from gitdeploy.doctor.secrets import examine_secrets
from gitdeploy.doctor.signing import examine_programs
from gitdeploy.doctor.ticks import examine_ticks
from gitdeploy.doctor.waiting import examine_queue
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Credentials, EngineInfo
from gitdeploy.errors import ConfigError, GitdeployError
from gitdeploy.gitserver.enrolment import hook_text
from gitdeploy.gitserver.gitserver import GitServer, has_server, read_server
from gitdeploy.gitserver.hookconf import HookConf, Mode
from gitdeploy.releases.release import APP
from gitdeploy.releases.state import State
from gitdeploy.targets.byapp import TargetByApp
from gitdeploy.targets.target import Here, Surroundings
from gitdeploy.targets.upstream import box_edge


@dataclass(frozen=True)
class Installation:
    """What is examined; `cli` fills it in.

    Attributes:
        home: the gitdeploy directory, which need not exist; None if the environment names none.
        shared: the directory in the Git server's data directory in which hooks find the spool: home, unless that is an agent's
            own.
        mode: "direct" or "agent".
        host: DOCKER_HOST.
        connect: connects to the engine; raises UnfitError.
        credentials: an app's registry credentials; raises UnfitError.
        hook_conf: what the hook of an app is to know; the paths are the gitdeploy directory as the Git server may see it.
        now: seconds since the epoch.
    """

    home: Path | None
    shared: Path | None
    mode: Mode
    host: str
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
        self._server: GitServer | None = None
        self._repositories: list[FoundRepository] = []
        self._engine: Engine | None = None
        self._info: EngineInfo | None = None

    def run(self) -> list[Finding]:
        """Look at everything; a check that fails is a finding, too."""
        self._check("versions", lambda: [judge_packages(look_at_packages())])
        home = self._existing(self._at.home, "run DIR/gitdeploy/bin/gitdeploy; install.sh makes it")
        if home:
            self._look_inside(home)
        self._check("engine", self._reach_engine)
        self._check("cluster", self._examine_cluster)
        self._check("app", partial(self._examine_apps, home))
        self._check("router", lambda: examine_routers(self._engine) if self._engine else ())
        self._check("restart policy", self._examine_policies)
        self._check("disk", partial(self._examine_disks, home))
        self._check("registry", self._examine_registries)
        self._check("domains", partial(self._examine_domains, home))
        self._check("secrets", self._examine_secrets)
        self._check("programs", lambda: examine_programs(self._apps.values()))
        if self._server:
            self._check("Git server", partial(examine_server, self._server, self._names(), self._at.now()))
            image = self._config.server.new_repositories if self._config else ""
            self._check("new ones", partial(examine_newcomers, self._server, image) if image else list)
        return self._findings

    def _look_inside(self, home: Path) -> None:
        mode, shared = self._at.mode, self._at.shared or home
        self._check("config.toml", partial(self._read_config, home / "config.toml"))
        self._check("Git server", partial(self._find_server, shared.parent))
        self._check("repository", partial(self._find_repositories, shared.parent))
        self._check("owner", lambda: examine_files(home, shared, mode, self._server_user()))
        for repository in self._repositories:
            self._check("hook", partial(self._examine_repository, repository, shared))
        self._check("audit", lambda: examine_audit(home))
        self._check("schedules", partial(self._examine_ticks, home / "state.db"))
        if self._existing(shared / "spool", "run install.sh again"):
            self._check("queue", lambda: examine_queue(home, shared / "spool", mode, self._at.now()))

    def _check(self, check: str, look: Callable[[], Iterable[Finding]]) -> None:
        """Run one check; what it has found before it failed counts."""
        try:
            for finding in look():
                self._findings.append(finding)
        except GitdeployError as error:
            self._findings.append(from_error(check, error))
        except OSError as error:
            found = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            self._findings.append(Finding("error", check, found, "run this as root, or as the owner of the installation"))
        except Exception as error:
            found = f"this check failed: {type(error).__name__}: {error}"
            self._findings.append(Finding("warning", check, found, "this is a mistake of gitdeploy: please report it"))

    def _existing(self, directory: Path | None, fix: str) -> Path | None:
        """Return the directory if there is one; a finding if there is none."""
        if directory is None:
            self._findings.append(Finding("error", "installation", "GITDEPLOY_HOME is not set", fix))
            return None
        facts = look_at_file(directory)
        if facts.kind in ("directory", "symlink"):
            return directory
        found = f"expected a directory at {directory}, which {facts.problem or 'is a file'}"
        self._findings.append(Finding("error", "installation", found, fix))
        return None

    @property
    def _apps(self) -> Mapping[str, App]:
        return self._config.apps if self._config else {}

    def _read_config(self, path: Path) -> Iterator[Finding]:
        try:
            self._config = load_config(path)
        except ConfigError as error:
            for problem in error.problems:
                yield Finding("error", "config.toml", problem, error.hint)
            return
        for warning in self._config.warnings:
            yield Finding("warning", "config.toml", warning, "put it right, then: gitdeploy config check")
        yield Finding("ok", "config.toml", f"{path}: no mistakes; apps: {', '.join(self._apps) or 'none'}")

    def _find_server(self, data: Path) -> Iterator[Finding]:
        if not has_server(data):
            yield Finding("ok", "Git server", f"none in {data}: only repositories that config.toml names are looked at")
            return
        self._server = server = read_server(data)
        count = sum(1 for _ in server.repositories())
        level: Level = "ok" if count else "warning"
        fix = f"see whether [repository] ROOT in {server.ini} is where {server.adapter.name} keeps its repositories"
        here = f"repositories in {server.root}: {count}" if server.root.is_dir() else f"{server.root} is not there yet"
        yield Finding(level, "Git server", f"{server.adapter.name}, {here}", fix)

    def _find_repositories(self, data: Path) -> Iterator[Finding]:
        if self._server is None and has_server(data):
            return  # it cannot be read, which is a finding already
        self._repositories, problems = find_repositories(self._apps, self._server)
        yield from problems
        if self._config:
            yield from judge_repositories(self._repositories)

    def _server_user(self) -> User | None:
        """Return the user that the Git server runs as: whoever owns the repositories. None if there are none."""
        if self._server:
            return User(self._server.owner.st_uid, self._server.owner.st_gid)
        places = [repository.path for repository in self._repositories]
        facts = look_at_file(places[0]) if places else None
        return User(facts.uid, facts.gid) if facts and facts.kind != "unreadable" else None

    def _examine_repository(self, repository: FoundRepository, shared: Path) -> Iterator[Finding]:
        config = self._config
        homes = self._server.homes if self._server else (str(shared),)
        conf = self._at.hook_conf(repository.app, config, homes) if repository.app and config else None
        mtime = config.written if config else 0
        adapter = None if self._server is None or (repository.app and repository.app.bare) else self._server.adapter
        yield from examine_repository(repository, Expected(shared.resolve(), hook_text(), conf, mtime), adapter)

    def _reach_engine(self) -> Iterator[Finding]:
        engine = self._at.connect()
        self._info = engine.info()
        self._engine = engine
        yield from examine_engine(self._info, self._at.host)

    def _examine_cluster(self) -> Iterator[Finding]:
        here = self._at.host.startswith("unix://") and self._at.mode == "direct"  # an agent has a network of its own
        if self._engine:
            yield from examine_cluster(self._apps.values(), self._engine, port_taken if here else None)

    def _examine_apps(self, home: Path | None) -> Iterator[Finding]:
        engine, path = self._engine, home / "state.db" if home else None
        if engine is None or path is None or not path.exists():
            return
        around = Surroundings(lambda: engine, self._at.credentials, Here(), self._at.now, time.monotonic)
        with State(path) as state:
            yield from examine_apps(self._apps.values(), state, TargetByApp(around))

    def _examine_domains(self, home: Path | None) -> Iterator[Finding]:
        engine, config, path = self._engine, self._config, home / "state.db" if home else None
        if not engine or not config or not home or not path or not path.exists():
            return
        at, here = self._at, self._at.host.startswith("unix://")
        with State(path) as state:
            edge = box_edge(home, config, state, lambda: engine, at.credentials, now=at.now, clock=time.monotonic)
            yield from examine_domains(edge, vantage(here, at.now()))

    def _examine_secrets(self) -> Iterator[Finding]:
        settings = self._config.edge if self._config else EdgeSettings()
        yield from examine_secrets(self._apps.values(), settings, self._at.now())

    def _examine_ticks(self, path: Path) -> Iterator[Finding]:
        if path.exists():
            with State(path) as state:
                yield from examine_ticks(state, self._at.mode, self._at.now())

    def _examine_policies(self) -> Iterable[Finding]:
        return judge_policies(self._engine.containers({APP: ""}), self._apps) if self._engine else ()

    def _examine_disks(self, home: Path | None) -> Iterable[Finding]:
        root = Path(self._info.root) if self._info and self._at.host.startswith("unix://") else None
        return examine_disks(home, root, (self._config.server if self._config else Server()).min_free)

    def _examine_registries(self) -> Iterable[Finding]:
        login = self._engine.login if self._engine else None
        return examine_registries(self._apps.values(), self._at.credentials, login)

    def _names(self) -> dict[str, str]:
        """Return each repository as Gogs calls it now, "owner/name", to its app."""
        return {f"{r.path.parent.name}/{r.path.name.removesuffix('.git')}": r.name for r in self._repositories}
