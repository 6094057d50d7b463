"""`gitdeploy rename OLD NEW`: an app goes on under another name: config, hook, history, logs, images; nothing is restarted.

What bears the old name in its labels keeps them, for labels cannot be changed: config.toml lists the old name as `formerly`.
That edit comes first, and every step after it can be done again: a rename that was cut off goes on when it is asked for again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace

from gitdeploy.cli.enrol import change_config
from gitdeploy.cli.gitside import hook_conf, hook_places
from gitdeploy.cli.installation import make_site
from gitdeploy.cli.stop import busy
from gitdeploy.cli.who import audit_config
from gitdeploy.config.appname import is_app_name
from gitdeploy.config.edit import rename_app, set_app
from gitdeploy.config.imagereference import same_repository
from gitdeploy.config.load import NOBODY
from gitdeploy.config.model import App, Config
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gitserver.enrolment import enrol
from gitdeploy.releases.imagenames import own_repository
from gitdeploy.releases.release import APP
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("old", metavar="OLD", help="the app as it is called in config.toml")
    parser.add_argument("new", metavar="NEW", help="owner/repo; what the repository is called now")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Rename; return 0."""
    old, new = arguments.old.lower(), arguments.new.lower()
    site = make_site(environ)
    if old == new or not is_app_name(new):
        raise UsageError(f"expected another name for {old}, owner/repo, found {arguments.new}")
    with ExitStack() as stack, site.open_state() as state:
        for name in (old, new):
            if not stack.enter_context(site.spool.lock(name, patience=1.0)):
                raise busy(name)
        config = site.load_config(new if new in site.load_config(NOBODY).apps else old)
        _require_idle(site, state, config, old, new)
        engine = site.connect()  # before anything is changed
        if new not in config.apps:
            _edit(site, config.apps[old], new)
            config, engine = site.load_config(new), site.connect()
        _follow(site, state, config.apps[new], config, old)
        _retag(engine, config.apps[new], old)
        for record in site.spool.pending()[0]:  # of pushes that came meanwhile
            if record.app == old:
                site.spool.add(replace(record, app=new))
    audit_config(site, environ, "rename", app=new, reason=f"was {old}")
    print(f"{old} is {new} now: config, hook, history, logs and releases are its own; what runs was not touched")
    return 0


def _require_idle(site: Site, state: State, config: Config, old: str, new: str) -> None:
    """Raise UsageError or UnfitError unless there is such an app, nothing of it waits, and the new name is free."""
    app = config.apps.get(new)
    if app and old not in app.formerly:
        hint = f"if nothing of it is needed: gitdeploy remove {new}, and take its table out of {config.source}"
        raise UsageError(f"{new} is an app of its own in {config.source}", hint)
    if not app and old not in config.apps:
        known = f"known apps: {', '.join(sorted(config.apps)) or 'none yet'}"
        raise UsageError(f"{config.source} has no app {old}", known)
    if not app and state.history(new, 1):
        raise UsageError(f"{new} has a history of its own", "choose another name")
    waiting = [record.name for record in site.spool.pending()[0] if record.app in (old, new)]
    if waiting or state.unfinished(old):
        raise UnfitError(f"a deployment of {old} waits", "see gitdeploy status; gitdeploy worker --once deploys it")


def _edit(site: Site, app: App, new: str) -> None:
    """Write the new name into config.toml, with what the app had by its old one: container and image."""
    former = [name for name in (*app.formerly, app.name) if name != new]
    values: dict[str, object] = {"container": app.container, "image": app.image, "formerly": former}
    change_config(site, lambda text: set_app(rename_app(text, app.name, new), new, values))


def _follow(site: Site, state: State, app: App, config: Config, old: str) -> None:
    """Give the app its history, its logs and its repository's hook."""
    state.rename(old, app.name)
    logs, there = site.latest_log(app.name).parent, site.latest_log(old).parent
    for log in there.iterdir() if there.is_dir() else ():
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.rename(logs / log.name)
    with suppress(OSError):
        there.rmdir()
    try:
        repository = app.bare or site.find_repository(old, "", app.served_by)
    except UsageError:
        repository = site.repository(app)
    conf = hook_conf(app, config, site.homes(), site.mode)
    places = hook_places(app, site.git_server())
    enrol(site.data, repository, conf, places, as_of_ns=config.written, instead_of=old)


def _retag(engine: Engine, app: App, old: str) -> None:
    """Give the images that gitdeploy keeps for the app names of its own."""
    before, after = own_repository(old), own_repository(app.name)
    for image in engine.images({APP: app.name}):
        for name in image.tags:
            if same_repository(name, before):
                engine.tag(image.id, f"{after}:{name.rpartition(':')[2]}")
                engine.remove_image(name)
