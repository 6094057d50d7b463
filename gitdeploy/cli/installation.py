"""Turns the environment of a command into a Site.

Every command does this first, and each needs little of what a Site offers: what takes time to import, the way to the engine and
the Git server's side, is imported when it is used.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gitdeploy.config import snapshot
from gitdeploy.config.appname import is_app_name
from gitdeploy.config.load import load_config
from gitdeploy.errors import ConfigError, UnfitError, UsageError
from gitdeploy.intake.spool import Spool
from gitdeploy.worker.site import Site

if TYPE_CHECKING:
    from types import ModuleType

    from gitdeploy.cli.gitside import GitSide
    from gitdeploy.config.model import App, Config
    from gitdeploy.gitserver.hookconf import Mode
    from gitdeploy.releases.records import Deployment
    from gitdeploy.releases.state import State


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
        from gitdeploy.agent.prepare import prepare  # noqa: PLC0415

        prepare(home, data)
    if not environ.get("GITDEPLOY_HOME") or not os.access(spool, os.X_OK):
        found = f"found {home}" if environ.get("GITDEPLOY_HOME") else "found nothing"
        reason = f"GITDEPLOY_HOME: expected the gitdeploy directory in the Git server's data directory, {found}"
        raise UnfitError(reason, "run DIR/gitdeploy/bin/gitdeploy, which sets it; install.sh makes it")
    os.umask(0o077)
    become(home)

    @cache
    def git() -> GitSide:
        from gitdeploy.cli.gitside import GitSide  # noqa: PLC0415

        return GitSide(data, spool.parent, mode)

    host = os.uname().nodename
    return Site(
        home=home,
        data=data,
        spool=Spool(home, spool, data if environ.get("GITDEPLOY_DATA") else None),
        load_config=lambda app="": load_config(home / "config.toml", app),
        find_repository=lambda app, seen, name: git().server().repository_of(app, seen, name),
        refresh_hook=lambda app, config, repository: git().refresh_hook(app, config, repository),
        install_hook=lambda app, config, repository: git().install_hook(app, config, repository),
        connect=lambda: _engine_way().connect_for(home, environ),
        credentials=lambda app: _engine_way().credentials(environ, app.push.auth_file),
        proxies=lambda: _engine_way().proxies(environ),
        make_readers=lambda: git().readers(environ.get("TMPDIR", "")),
        submodules=lambda repository: git().submodules(repository),
        git_server=lambda: git().server_if_any(),
        host=host,
        homes=lambda: git().homes(),
        mode=mode,
        container=_own_container(Path("/proc/self/mountinfo"), host),
    )


def _engine_way() -> ModuleType:
    from gitdeploy.cli import engineway  # noqa: PLC0415

    return engineway


def _own_container(mounts: Path, host: str) -> str:
    """Return the id of this process's container, or its beginning: engines mount /etc/hostname from a directory called so."""
    with contextlib.suppress(OSError):
        if found := re.search(r"/containers/([0-9a-f]{64})/hostname /etc/hostname ", mounts.read_text(errors="replace")):
            return found[1]
    return host if re.fullmatch("[0-9a-f]{12}", host) else ""


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


def app_name(given: str, site: Site, state: State) -> str:
    """Return the app's name in lower case. Raises UsageError if neither the config nor the history knows it."""
    name = given.lower()
    if not is_app_name(name):
        raise UsageError(f"expected APP as owner/repo, found {given!r}")
    if name not in state.apps() and name not in (known := known_apps(site, state)):  # config.toml takes a moment to read
        raise UsageError(f"there is no app {name}", f"known apps: {', '.join(known) or 'none yet'}")
    return name


def live_app(given: str, site: Site, state: State) -> tuple[Deployment, App]:
    """Return what is live of an app, and what it was configured as. Raises UsageError if nothing of it was ever live."""
    name = app_name(given, site, state)
    live = state.live(name)
    app = snapshot.load(live.config) if live else None
    if live is None or app is None:
        raise UsageError(f"nothing of {name} was ever live", f"deploy it: gitdeploy deploy {name}")
    return live, app


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


def urls(live: App, config: Config | None) -> list[str]:
    """Return where what is live answers by a name, as config.toml has it now; [] if it has no domains."""
    from gitdeploy.config.fronted import fronted  # noqa: PLC0415 - where something is live
    from gitdeploy.releases.release import address  # noqa: PLC0415

    app = fronted(config, live) if config else live
    return [address(app, "")] if app.domains else []
