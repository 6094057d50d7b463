"""`gitdeploy start APP`: brings back what `gitdeploy stop APP` took out of service."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from gitdeploy.cli.installation import make_site
from gitdeploy.cli.prune import Printed
from gitdeploy.cli.stop import add_arguments, in_service
from gitdeploy.cli.who import audit
from gitdeploy.errors import StageFailed

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Start the app; return 0."""
    site = make_site(environ)
    with in_service(site, arguments.app) as (state, live, app):
        target = site.target(site.connect)
        target.bring_back(app, Printed())
        if wrong := target.condition(app):
            raise StageFailed(f"{app.name} {live.version} does not serve: {wrong}", f"gitdeploy deploy {app.name}")
        state.set_stopped(app.name, None)
        audit(site, environ, "start", verdict="done", app=app.name, deployment=live.id, version=live.version)
    print(f"{app.name} {live.version} runs")
    return 0
