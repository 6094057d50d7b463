"""`gitdeploy logs APP [-f] [ID]`: the console log of a deployment, of the newest one if no ID is given."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from gitdeploy.cli.installation import app_name, make_site
from gitdeploy.errors import UsageError
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site

INTERVAL = 0.05
"""Seconds between two looks at a log that is followed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")
    parser.add_argument("id", nargs="?", type=int, metavar="ID", help="of the deployment, as `history` lists it")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the deployment ends; without ID, with the next ones"
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the log; return 0."""
    site = make_site(environ)
    with site.open_state() as state:
        app = app_name(arguments.app, site, state)
        path = site.log_path(app, arguments.id) if arguments.id else site.latest_log(app).resolve()
        if not path.exists() and not (arguments.follow and not arguments.id):
            what = f"deployment {arguments.id} of {app}" if arguments.id else app
            raise UsageError(f"there is no log of {what}", f"`gitdeploy history {app}` lists the deployments")
        if arguments.follow:
            _follow(site, state, app, path, arguments.id)
        else:
            _copy(path, 0)
    return 0


def _copy(path: Path, offset: int) -> int:
    """Print a file from `offset`; return the new offset."""
    if not path.exists():
        return offset
    with path.open("rb") as file:
        file.seek(offset)
        while data := file.read(65536):
            sys.stdout.buffer.write(data)
            offset += len(data)
    sys.stdout.buffer.flush()
    return offset


def _follow(site: Site, state: State, app: str, path: Path, deployment: int | None) -> None:
    """Print what is added, until the deployment ends or, if none was named, for ever."""
    offset = 0
    while True:
        row = state.deployment(deployment) if deployment else None
        offset = _copy(path, offset)
        if row and row.ended:
            _copy(path, offset)
            return
        newest = site.latest_log(app).resolve()
        if not deployment and newest != path:
            _copy(path, offset)
            path, offset = newest, 0
        time.sleep(INTERVAL)
