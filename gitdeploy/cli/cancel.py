"""`gitdeploy cancel APP`: stops the running deployment of an app; the old release goes on serving."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

from gitdeploy.cli.installation import app_name, make_site
from gitdeploy.cli.who import audit
from gitdeploy.errors import UsageError

TIMEOUT = 60.0
"""Seconds to wait for the deployment's end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Ask the worker to cancel and wait until it has; return 0 if it was cancelled, 1 if it ended otherwise."""
    site = make_site(environ)
    with site.open_state() as state:
        app = app_name(arguments.app, site, state)
        running = next((d for d in state.unfinished(app) if d.status == "running"), None)
        if running is None or not site.spool.locked(app):
            raise UsageError(f"no deployment of {app} is running", f"see `gitdeploy status {app}`")
        site.spool.cancels.ask(app, running.id)  # this one, and none that comes after it
        audit(site, environ, "cancel", app=app, deployment=running.id, new=running.commit_id)
        until = site.clock() + TIMEOUT
        while site.clock() < until:
            row = state.deployment(running.id)
            if row and row.ended:
                print(f"deployment {row.id} of {app}: {row.status}")
                return 0 if row.status == "cancelled" else 1
            time.sleep(0.02)
    print(f"deployment {running.id} of {app} was asked to stop and still runs: see `gitdeploy logs {app} {running.id}`")
    return 1
