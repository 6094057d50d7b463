"""`gitdeploy rollback APP [VERSION]`: brings an earlier release live again, from its kept image."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from gitdeploy.cli.follow import submit
from gitdeploy.cli.installation import enrolled_app, make_site
from gitdeploy.cli.who import user_name
from gitdeploy.intake.push import PushRecord
from gitdeploy.intake.spool import new_name
from gitdeploy.releases.retention import choose_target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")
    parser.add_argument("version", nargs="?", metavar="VERSION", help="the release before the live one if left out")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Roll back in the foreground; return 0, or how it failed."""
    site = make_site(environ)
    app = enrolled_app(arguments.app, site)
    with site.open_state() as state:
        target = choose_target(state.releases(app.name), state.live(app.name), arguments.version)
    print(f"rolling {app.name} back to {target.version} (deployment {target.id})", flush=True)
    record = PushRecord(
        name=new_name(site.now()),
        app=app.name,
        repo=str(site.repository(app)),
        refs=(),
        user=user_name(environ),
        trigger="rollback",
        release=target.id,
    )
    return submit(site, record, environ)
