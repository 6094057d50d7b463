"""`gitdeploy status [APP] [--json]`: for each app what is live, what is under way and what waits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from gitdeploy.cli.context import app_name, known_apps, make_site
from gitdeploy.cli.tables import ago, table
from gitdeploy.errors import ConfigError
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("app", nargs="?", metavar="APP", help="owner/repo; all apps if left out")
    parser.add_argument("--json", action="store_true", help="for scripts")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Prints the status; returns 0."""
    site = make_site(environ)
    with site.open_state() as state:
        apps = [app_name(arguments.app, site, state)] if arguments.app else known_apps(site, state)
        facts = [_facts(app, site, state) for app in apps]
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return 0
    if not facts:
        print("no apps yet: run install.sh --repo OWNER/NAME --image IMAGE")
        return 0
    now = site.now()
    rows = [[f["app"], f["version"] or "-", ago(now, f["live_since"]), f["now"], f["last"], str(f["waiting"])] for f in facts]
    print(table(["APP", "LIVE", "SINCE", "NOW", "LAST DEPLOYMENT", "WAITING"], rows))
    return 0


def _facts(app: str, site: Site, state: State) -> dict[str, Any]:
    live = state.live(app)
    newest = next(iter(state.history(app, 1)), None)
    working = site.spool.locked(app)
    return {
        "app": app,
        "version": live.version if live else None,
        "commit": live.commit_id if live else None,
        "live_since": live.finished if live else None,
        "now": _now(newest, working),
        "last": f"{newest.id} {newest.status}" if newest else "-",
        "last_error": newest.error if newest else "",
        "waiting": sum(record.app == app for record in site.spool.pending()[0]) - (1 if _under_way(newest) else 0),
        "enrolled": _enrolled(app, site),
    }


def _under_way(newest: Deployment | None) -> bool:
    return newest is not None and not newest.ended


def _now(newest: Deployment | None, working: bool) -> str:
    if newest is None or newest.ended:
        return "working" if working else "idle"
    return f"{newest.stage or 'starting'} {newest.version}".strip() if working else "interrupted"


def _enrolled(app: str, site: Site) -> bool:
    try:
        return app in site.load_config().apps
    except ConfigError:
        return False
