"""`gitdeploy remove APP`: takes the hook out of a repository and puts back what was there; the running app is left alone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from gitdeploy.cli.enrol import edit_server
from gitdeploy.cli.installation import make_site
from gitdeploy.cli.who import audit_config, complain
from gitdeploy.config import snapshot
from gitdeploy.errors import UsageError
from gitdeploy.gitserver.enrolment import remove
from gitdeploy.gitserver.gitserver import has_server, read_server
from gitdeploy.gitserver.hookconf import enrolled_apps
from gitdeploy.gitserver.newcomers import forget_newcomers
from gitdeploy.releases.records import TAKEN_OUT
from gitdeploy.worker.schedules import PATIENCE, TICKS
from gitdeploy.worker.site import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("app", nargs="?", metavar="APP", help="owner/repo")
    which.add_argument("--all", action="store_true", help="every enrolled repository")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Remove; return 0, or the exit status of the last failure among all."""
    site = make_site(environ)
    if arguments.all:
        status = 0
        for name, path in enrolled(site):
            try:
                _remove(site, name, path, environ)
            except Exception as error:  # the others are taken out
                status = complain(site, name, error)
        if has_server(site.data):
            _no_newcomers(site, environ)
        return status
    name = arguments.app.lower()
    app = site.load_config().apps.get(name)
    path = site.repository(app) if app else site.find_repository(name, "", "")
    if not _remove(site, name, path, environ):
        raise UsageError(f"{name} is not enrolled: {path} has no hook of gitdeploy")
    if app and app.accessories:
        print(f"{name}: so do its accessories ({', '.join(app.accessories)}): gitdeploy accessory {name} NAME remove")
    return 0


def _no_newcomers(site: Site, environ: Mapping[str, str]) -> None:
    """No repository is enrolled by its first push any more."""
    server = read_server(site.data)
    if has_config(site) and site.load_config().server.new_repositories:
        edit_server(site, "new_repositories", "")
        audit_config(site, environ, "remove", reason="what is made from now on")
    forget_newcomers(server)


def _remove(site: Site, name: str, path: Path, environ: Mapping[str, str]) -> bool:
    """Take the hook out of one repository; return whether there was one."""
    with site.open_state() as state:
        state.remember(name, TAKEN_OUT)
        done = remove(site.data, path, name)
        state.remember(name, TAKEN_OUT)  # again: an agent may have looked meanwhile
    if not done.found:
        return False
    _end_runs(site, name)
    audit_config(site, environ, "remove", app=name)
    if done.others:
        print(f"{name}: taken out of {path}, which still deploys {', '.join(done.others)}; what runs of it runs on")
        return True
    print(f"{name}: hook removed from {path}; what runs of it runs on")
    if done.restored:
        print(f"{name}: the earlier hook is back: {done.restored}")
    if done.left:
        print(f"{name}: {done.left} is not gitdeploy's and was left alone")
    return True


def _end_runs(site: Site, name: str) -> None:
    """Let no schedule of the app run any more, and stop what runs of them."""
    with site.open_state() as state:
        live = state.live(name)
        # The hook is out by now: a look that hangs keeps nobody from this, and what it adds does not begin.
        with site.spool.lock(TICKS, PATIENCE):
            state.unschedule(name, live.id if live else 0)
            runs = state.open_runs(name)
            for run in runs:
                state.end_run(run.id, "failed", site.now(), error="ended by gitdeploy remove")
        app = snapshot.load(live.config) if live else None
        if app and runs:
            site.target(site.connect).drop_runs(app, lambda: {run.id for run in state.open_runs()})
            print(f"{name}: ended: {', '.join(f'run {run.id} of {run.name}' for run in runs)}")


def has_config(site: Site) -> bool:
    """Return whether anything was ever enrolled: that is what makes config.toml."""
    return (site.home / "config.toml").exists()


def enrolled(site: Site) -> list[tuple[str, Path]]:
    """Return every enrolled app with its repository: those of Gogs, and plain ones that config.toml names."""
    found = dict(read_server(site.data).enrolled()) if has_server(site.data) else {}
    for name, app in site.load_config().apps.items() if has_config(site) else ():
        if app.bare and name in enrolled_apps(app.bare):
            found[name] = app.bare
    return sorted(found.items())
