"""Turns the environment of a command into a Site."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gitdeploy.agent.prepare import prepare
from gitdeploy.config.appname import is_app_name
from gitdeploy.config.load import NOBODY, load_config
from gitdeploy.config.model import App, Config
from gitdeploy.config.secretfile import require_own_place
from gitdeploy.engine.client import DEFAULT_HOST, connect
from gitdeploy.engine.credentials import load as load_credentials
from gitdeploy.engine.types import Credentials, Scope
from gitdeploy.errors import ConfigError, GitdeployError, UnfitError, UsageError
from gitdeploy.gitserver.enrolment import enrol, refresh
from gitdeploy.gitserver.gitserver import GitServer, has_server, read_server
from gitdeploy.gitserver.hookconf import HookConf, Mode
from gitdeploy.gitserver.hookplaces import PLAIN, HookPlaces
from gitdeploy.intake.choice import full_patterns
from gitdeploy.intake.spool import Spool
from gitdeploy.releases.release import APP, INSTALLATION
from gitdeploy.releases.state import State
from gitdeploy.source.sameserver import SameServer
from gitdeploy.worker.installationid import installation_id
from gitdeploy.worker.readers import Readers, place_of
from gitdeploy.worker.site import Site


def make_site(environ: Mapping[str, str]) -> Site:
    """Return the installation that GITDEPLOY_HOME names; bin/gitdeploy sets it.

    An agent in a container has a home of its own, which the Git server's user cannot write, and finds the Git server's data
    directory, where the hooks and the spool are, by GITDEPLOY_DATA.

    Raises:
        UnfitError: it is not set, or names no installation.
    """
    home = Path(environ.get("GITDEPLOY_HOME", ""))
    data = Path(environ.get("GITDEPLOY_DATA") or home.parent)
    spool = (data / "gitdeploy" if environ.get("GITDEPLOY_DATA") else home) / "spool"
    mode: Mode = "agent" if environ.get("GITDEPLOY_MODE") == "agent" else "direct"
    if environ.get("GITDEPLOY_HOME") and environ.get("GITDEPLOY_DATA"):
        prepare(home, data)
    if not environ.get("GITDEPLOY_HOME") or not os.access(spool, os.X_OK):
        found = f"found {home}" if environ.get("GITDEPLOY_HOME") else "found nothing"
        reason = f"GITDEPLOY_HOME: expected the gitdeploy directory in the Git server's data directory, {found}"
        raise UnfitError(reason, "run DIR/gitdeploy/bin/gitdeploy, which sets it; install.sh makes it")
    os.umask(0o077)
    become(home)
    server = _server(data)

    def server_if_any() -> GitServer | None:  # asked anew: an agent may have begun before the Git server was set up
        return server() if has_server(data) else None

    def homes() -> tuple[str, ...]:
        found = server_if_any()
        return found.homes if found else (str(spool.parent),)

    def install_hook(app: App, config: Config, path: Path) -> bool:
        conf = hook_conf(app, config, homes(), mode)
        return enrol(data, path, conf, hook_places(app, server_if_any()), as_of_ns=config.written).changed

    return Site(
        home=home,
        data=data,
        spool=Spool(home, spool, data if environ.get("GITDEPLOY_DATA") else None),
        load_config=lambda app="": load_config(home / "config.toml", app),
        find_repository=lambda app, seen, name: server().repository_of(app, seen, name),
        refresh_hook=lambda app, config, repository: _refresh(data, repository, hook_conf(app, config, homes(), mode), config),
        install_hook=install_hook,
        connect=lambda: connect(environ, scope(home, installation_id(home))),
        credentials=lambda app: _credentials(environ, app.push.auth_file),
        proxies=lambda: load_credentials(environ).proxies(environ.get("DOCKER_HOST") or DEFAULT_HOST),
        readers=Readers(lambda path: place_of(path, server_if_any()), environ.get("TMPDIR", "")),
        submodules=lambda repository: _submodules(server_if_any(), repository),
        git_server=server_if_any,
        host=socket.gethostname(),
        homes=homes(),
        mode=mode,
        container=_own_container(Path("/proc/self/mountinfo"), socket.gethostname()),
    )


def _own_container(mounts: Path, host: str) -> str:
    """Return the id of this process's container, or its beginning: engines mount /etc/hostname from a directory called so."""
    with contextlib.suppress(OSError):
        if found := re.search(r"/containers/([0-9a-f]{64})/hostname /etc/hostname ", mounts.read_text(errors="replace")):
            return found[1]
    return host if re.fullmatch("[0-9a-f]{12}", host) else ""


def _credentials(environ: Mapping[str, str], auth_file: Path | None) -> Credentials:
    if auth_file:
        require_own_place(auth_file, "push.auth_file")
    return load_credentials(environ, auth_file)


def scope(home: Path, own: str) -> Scope:
    """Return what of the engine's things is the installation's with this id; other names only as far as config.toml tells."""
    try:
        apps = load_config(home / "config.toml", NOBODY).apps.values()
    except ConfigError:
        return Scope(APP, installation=INSTALLATION, own=own)
    renamed = {old: app.name for app in apps for old in app.formerly}
    return Scope(APP, renamed, INSTALLATION, own, {app.name: app.taken_from for app in apps if app.taken_from})


def hook_conf(app: App, config: Config, homes: Sequence[str], mode: Mode) -> HookConf:
    """Return what the hook of this app's repository is to know."""
    others = {name: full_patterns(other.branch) for name, other in config.apps.items() if name not in config.mistaken}
    return HookConf(app.name, homes, full_patterns(app.branch), config.server.relay_timeout, mode, others=others)


def hook_places(app: App, server: GitServer | None) -> HookPlaces:
    """Return where in its repository the hook of this app goes."""
    return PLAIN if app.bare or server is None else server.adapter.hooks


def _refresh(data: Path, repository: Path, conf: HookConf, config: Config) -> None:
    with contextlib.suppress(GitdeployError, OSError):
        refresh(data, repository, conf, as_of_ns=config.written)


def _submodules(server: GitServer | None, repository: Path) -> SameServer | None:
    """Return where the submodules of the app with this repository may be: among the repositories of the same Git server."""
    if server is None:
        return None
    root = server.root.resolve()
    owner = repository.parent.name if repository.parent.parent == root else ""
    return SameServer(root, owner, server.web.hosts, server.web.prefix)


def become(home: Path) -> None:
    """As root, goes on as the owner of the installation: the hook runs as that user, and no file may become root's."""
    owner = home.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        name = pwd.getpwuid(owner.st_uid).pw_name
        os.initgroups(name, owner.st_gid)
    except KeyError:
        os.setgroups([owner.st_gid])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def _server(data: Path) -> Callable[[], GitServer]:
    """Read app.ini once, when it is needed: plain bare repositories do without."""
    found: list[GitServer] = []

    def server() -> GitServer:
        if not found:
            found.append(read_server(data))
        return found[0]

    return server


def app_name(given: str, site: Site, state: State) -> str:
    """Return the app's name in lower case. Raises UsageError if neither the config nor the history knows it."""
    name = given.lower()
    if not is_app_name(name):
        raise UsageError(f"expected APP as owner/repo, found {given!r}")
    known = known_apps(site, state)
    if name not in known:
        raise UsageError(f"there is no app {name}", f"known apps: {', '.join(known) or 'none yet'}")
    return name


def known_apps(site: Site, state: State) -> list[str]:
    """Apps of the config and of the history; a config in error leaves those of the history."""
    names = set(state.apps())
    try:
        names |= set(site.load_config().apps)
    except ConfigError:
        if not names:
            raise
    return sorted(names)


def enrolled_app(given: str, site: Site) -> App:
    """Return the app from config.toml. Raises UsageError if it has no table there."""
    apps = site.load_config(given.lower()).apps
    app = apps.get(given.lower())
    if app is None:
        raise UsageError(f"config.toml has no app {given}", f"known apps: {', '.join(sorted(apps)) or 'none yet'}")
    return app
