"""`gitdeploy run APP [-it] COMMAND…`: runs a command in a container of its own, made as those of the live release."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from gitdeploy.cli import attended
from gitdeploy.config.secretfile import whole_env
from gitdeploy.releases.release import Release
from gitdeploy.releases.retention import live_image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    attended.add_arguments(parser)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the command; return its exit code."""
    wanted, how, site, live = attended.prepare(arguments, environ)
    app, deployment = live.app, live.deployment
    env = whole_env(app, site.proxies())
    engine = site.connect()
    release = Release(deployment.id, app, deployment.version, deployment.commit_id, live_image(engine, app, deployment).id)
    attended.record(site, environ, "run", live, wanted.command)
    target = site.target(lambda: engine)
    return attended.stay(lambda: target.run_beside(release, env, wanted.command, how), wanted, patience=app.stop_timeout)
