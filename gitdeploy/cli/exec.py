"""`gitdeploy exec APP[/PROCESS] [-it] COMMAND…`: runs a command in a container of the app that runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from gitdeploy.cli import attended
from gitdeploy.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    attended.add_arguments(parser)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the command; return its exit code."""
    wanted, how, site, live = attended.prepare(arguments, environ)
    app = live.app
    if live.stopped:
        raise UsageError(f"{app.name} is stopped", f"gitdeploy start {app.name}; `gitdeploy run` makes a container of its own")
    engine = site.connect()
    target = site.target(lambda: engine)
    attended.record(site, environ, "exec", live, wanted.command)
    return attended.stay(lambda: target.run_inside(app, wanted.command, how), wanted, patience=app.stop_timeout)
