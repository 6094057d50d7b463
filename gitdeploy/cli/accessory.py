"""`gitdeploy accessory APP NAME start|stop|restart|logs|upgrade|remove`: looks after a database or a cache beside an app."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping

from gitdeploy.cli.installation import enrolled_app, make_site
from gitdeploy.cli.prune import Printed
from gitdeploy.cli.stop import busy
from gitdeploy.cli.who import audit
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import accessory_env, values_in_files
from gitdeploy.engine.types import Output
from gitdeploy.errors import GitdeployError, UsageError
from gitdeploy.pipeline.upkeep import pulled
from gitdeploy.targets.accessory import Accessories, WantedAccessory
from gitdeploy.terminal.attending import leave_on_signals
from gitdeploy.terminal.redact import Redactor
from gitdeploy.worker.site import Site

ACTIONS = ("start", "stop", "restart", "logs", "upgrade", "remove")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")
    parser.add_argument("name", metavar="NAME", help="of the accessory, as [apps.APP.accessories.NAME] has it")
    parser.add_argument("action", choices=ACTIONS, help="upgrade: pull its image and make its container anew")
    parser.add_argument("-n", "--lines", type=int, default=100, metavar="N", help="logs: how many lines, 100 if left out")
    parser.add_argument("-f", "--follow", action="store_true", help="logs: go on until it is stopped")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do it; return 0."""
    site = make_site(environ)
    app, name, action = enrolled_app(arguments.app, site), arguments.name, arguments.action
    engine = site.connect()
    accessories = site.target(lambda: engine).accessories
    redact = Redactor()
    redact.add(values_in_files(app))
    if action == "logs":
        for line in accessories.logs(app, name, max(1, arguments.lines), follow=arguments.follow):
            print(redact(line), flush=arguments.follow)
        return 0
    leave_on_signals()
    with site.spool.lock(app.name, patience=1.0) as got:
        if not got:
            raise busy(app.name)
        verdict = "failed"
        try:
            print(_act(site, accessories, app, (name, action), Printed(redact)))
            verdict = "done"
        except GitdeployError as error:  # its last lines are what the accessory said
            error.reason, error.hint, error.tail = redact(error.reason), redact(error.hint), tuple(map(redact, error.tail))
            raise
        finally:
            audit(site, environ, f"accessory {action}", verdict=verdict, app=app.name, reason=name)
    return 0


def _act(site: Site, accessories: Accessories, app: App, asked: tuple[str, str], output: Output) -> str:
    """Do what was asked for, of an accessory by name; return what is to be said of it."""
    name, action = asked
    whole, cancel = f"{app.name} {name}", threading.Event()
    if action == "stop":
        accessories.stop(app, name, output)
        return f"{whole} is stopped, and deployments of {app.name} fail until: gitdeploy accessory {whole} start"
    if action == "remove":
        volumes = ", ".join(accessories.remove(app, name))
        kept = f"its data stays in the volume {volumes}" if volumes else "it had no volume"
        comes = f"; its table is in {site.home}/config.toml, so the next deployment makes it again" if _has(app, name) else ""
        return f"{whole} is removed, {kept}{comes}"
    made = any(found.name == name and found.container for found in accessories.look(app))
    if action == "upgrade" or (not made and _has(app, name)):
        accessories.bring_up(_wanted(site, app, name, output, renew=action == "upgrade"))
    else:
        accessories.start(app, name, output, cancel, again=action == "restart")
    return f"{whole} runs"


def _has(app: App, name: str) -> bool:
    return name in app.accessories


def _wanted(site: Site, app: App, name: str, output: Output, *, renew: bool) -> WantedAccessory:
    """Return the accessory as its table says. Raises UsageError if there is none."""
    if not _has(app, name):
        known = ", ".join(app.accessories) or "none"
        raise UsageError(f"{app.name} has no accessory {name} in config.toml", f"accessories of {app.name}: {known}")
    accessory, cancel = app.accessories[name], threading.Event()
    return WantedAccessory(
        app=app,
        name=name,
        env=accessory_env(app, name),
        image=lambda: pulled(site.connect(), accessory.image, site.credentials(app), output, cancel, anew=renew),
        output=output,
        cancel=cancel,
        renew=renew,
    )
