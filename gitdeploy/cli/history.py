"""`gitdeploy history APP [--json] [-n N]`: the deployments of an app, newest first."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from gitdeploy.cli.installation import app_name, make_site
from gitdeploy.cli.tables import moment, span, table
from gitdeploy.releases.records import Deployment, as_json
from gitdeploy.terminal.redact import harmless


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")
    parser.add_argument("-n", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--json", action="store_true", help="for scripts")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the history; return 0."""
    site = make_site(environ)
    with site.open_state() as state:
        deployments = state.history(app_name(arguments.app, site, state), arguments.n)
        if arguments.json:
            print(json.dumps([as_json(d, state.stages(d.id)) for d in deployments], indent=2))
            return 0
    header = ["ID", "STARTED", "VERSION", "COMMIT", "BY", "STATUS", "TOOK", "WHAT"]
    print(table(header, [_row(d) for d in deployments]) if deployments else "no deployments yet")
    return 0


def _row(d: Deployment) -> list[str]:
    kept = " *" if d.retained and d.status == "succeeded" else ""
    what = f"{d.stage}: {d.error.splitlines()[0]}" if d.status == "failed" and d.error else d.error or d.subject
    by = d.pusher or d.trigger
    took = span(d.started, d.finished)
    return [
        str(d.id),
        moment(d.started or d.created),
        (d.version or "-") + kept,
        d.commit_id[:12],
        by,
        d.status,
        took,
        harmless(what)[:100],
    ]
