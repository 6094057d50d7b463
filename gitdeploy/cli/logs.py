"""`gitdeploy logs APP [-f] [ID]`: the log of a deployment, of the newest one if no ID is given, or of a schedule's run."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from gitdeploy.cli.installation import app_name, make_site
from gitdeploy.errors import UsageError
from gitdeploy.releases.records import ScheduledRun
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site

INTERVAL = 0.05
"""Seconds between two looks at a log that is followed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")
    parser.add_argument("id", nargs="?", type=int, metavar="ID", help="of the deployment, as `history` lists it")
    parser.add_argument("--run", type=int, metavar="N", help="the log of this run of a schedule instead")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the deployment ends; without ID, with the next ones"
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the log; return 0."""
    site = make_site(environ)
    with site.open_state() as state:
        app = app_name(arguments.app, site, state)
        if arguments.run:
            _show_run(site, state, app, arguments.run, follow=arguments.follow)
            return 0
        path = site.log_path(app, arguments.id) if arguments.id else site.latest_log(app).resolve()
        if not path.exists() and not (arguments.follow and not arguments.id):
            what = f"deployment {arguments.id} of {app}" if arguments.id else app
            raise UsageError(f"there is no log of {what}", f"`gitdeploy history {app}` lists the deployments")
        if arguments.follow:
            _follow(site, state, app, path, arguments.id)
        else:
            copy(path, 0)
    return 0


def _show_run(site: Site, state: State, app: str, number: int, *, follow: bool) -> None:
    """Print the log of a run, until it ends if asked. Raises UsageError if there is none."""
    path, run = site.run_log(app, number), state.run(number)
    if not path.exists() and not (follow and run and run.app == app and run.ended is None):
        raise UsageError(f"there is no log of run {number} of {app}", f"`gitdeploy history {app} --runs` lists the runs")
    if follow:
        follow_run(state, path, number)
    else:
        copy(path, 0)


def follow_run(state: State, path: Path, number: int, go_on: Callable[[], bool] = lambda: True) -> ScheduledRun | None:
    """Print the log of a run until it ends, or `go_on` says no; return the run as it is then, None if nobody knows it."""
    offset = 0
    while True:
        run = state.run(number)
        offset = copy(path, offset)  # behind the look: what a run said before its end is there
        if run is None or run.ended is not None or not go_on():
            return run
        time.sleep(INTERVAL)


def copy(path: Path, offset: int) -> int:
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
        offset = copy(path, offset)
        if row and row.ended:
            copy(path, offset)
            return
        newest = site.latest_log(app).resolve()
        if not deployment and newest != path:
            copy(path, offset)
            path, offset = newest, 0
        time.sleep(INTERVAL)
