"""`gitdeploy stop APP` takes an app out of service, `gitdeploy start APP` brings it back; the next deployment does, too."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gitdeploy.cli.installation import live_app, make_site
from gitdeploy.cli.who import audit
from gitdeploy.config.model import App
from gitdeploy.errors import UnfitError
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Stop the app; return 0."""
    site = make_site(environ)
    with in_service(site, arguments.app) as (state, live, app):
        state.set_stopped(app.name, site.now())  # before: what says that it is stopped brings it back, too
        site.target(site.connect).take_out(app)
        audit(site, environ, "stop", verdict="done", app=app.name, deployment=live.id, version=live.version)
    if app.accessories:
        names = ", ".join(app.accessories)
        print(f"its accessories run on ({names}): gitdeploy accessory {app.name} NAME stop")
    print(f"{app.name} {live.version} is stopped, and stays so until: gitdeploy start {app.name}, or the next deployment")
    return 0


@contextmanager
def in_service(site: Site, given: str) -> Iterator[tuple[State, Deployment, App]]:
    """Yield the records, what is live of an app and what it was configured as, under the app's lock.

    Raises UsageError if nothing of it was ever live, UnfitError if a deployment is running.
    """
    with site.open_state() as state:
        live, app = live_app(given, site, state)
        with site.spool.lock(live.app, patience=1.0) as got:
            if not got:
                raise busy(live.app)
            yield state, live, app


def busy(name: str) -> UnfitError:
    """Return the error for an app whose lock somebody holds."""
    reason = f"{name} is being worked on: a deployment is running, or blue-green holds the earlier release (hold)"
    return UnfitError(reason, f"see gitdeploy status {name}; gitdeploy cancel {name} ends a deployment")
