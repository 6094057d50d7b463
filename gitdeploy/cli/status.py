"""`gitdeploy status [APP] [--json]`: for each app what is live and whether it runs, what is under way and what waits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from gitdeploy.cli.installation import app_name, known_apps, make_site
from gitdeploy.cli.tables import ago, table
from gitdeploy.config import snapshot
from gitdeploy.errors import ConfigError, GitdeployError, UnfitError
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", nargs="?", metavar="APP", help="owner/repo; all apps if left out")
    parser.add_argument("--json", action="store_true", help="for scripts")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the status; return 0."""
    site = make_site(environ)
    with site.open_state() as state:
        apps = [app_name(arguments.app, site, state)] if arguments.app else known_apps(site, state)
        facts = [_facts(app, site, state) for app in apps]
        _add_conditions(facts, site, state)
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return 0
    if not facts:
        print("no apps yet: run install.sh --repo OWNER/NAME --image IMAGE")
        return 0
    now = site.now()
    rows = [
        [
            *(f["app"], f["version"] or "-", ago(now, f["live_since"]), _runs(f)),
            *(f["now"], f["last"], str(f["waiting"])),
        ]
        for f in facts
    ]
    print(table(["APP", "LIVE", "SINCE", "RUNS", "NOW", "LAST DEPLOYMENT", "WAITING"], rows))
    for wrong in (f for f in facts if f["condition"]):
        print(f"{wrong['app']}: {wrong['condition']}")
    return 0


def _runs(fact: dict[str, Any]) -> str:
    """Return a word for whether what is live runs."""
    if not fact["version"]:
        return "-"
    stopped = fact["runs"] is False and fact["stopped_since"]
    return "stopped" if stopped else {True: "yes", False: "NO", None: "?"}[fact["runs"]]


def _facts(app: str, site: Site, state: State) -> dict[str, Any]:
    live = state.live(app)
    newest = next(iter(state.history(app, 1)), None)
    working = site.spool.locked(app)
    return {
        "app": app,
        "version": live.version if live else None,
        "commit": live.commit_id if live else None,
        "live_since": live.finished if live else None,
        "stopped_since": state.stopped(app),
        "now": _now(newest, working),
        "last": f"{newest.id} {newest.status}" if newest else "-",
        "last_error": newest.error if newest else "",
        "waiting": sum(record.app == app for record in site.spool.pending()[0]) - (1 if _under_way(newest) else 0),
        "enrolled": _enrolled(app, site),
    }


def _add_conditions(facts: list[dict[str, Any]], site: Site, state: State) -> None:
    """Add whether what is live really runs, None where nobody can tell, and what is wrong with it."""
    engine, silent = None, ""
    for fact in facts:
        live = state.live(fact["app"])
        app = snapshot.load(live.config) if live else None
        fact["runs"], fact["condition"] = None, ""
        if app is None:
            continue
        try:
            if silent:  # an engine that does not answer is asked once
                raise UnfitError(silent)
            engine = engine or site.connect()
            fact["condition"] = site.target(lambda: engine).condition(app)  # noqa: B023
            fact["runs"] = not fact["condition"]
            if fact["condition"] and fact["stopped_since"]:
                since = ago(site.now(), fact["stopped_since"])
                fact["condition"] = f"out of service since {since}; gitdeploy start {fact['app']} brings it back"
        except GitdeployError as error:
            silent = error.reason if isinstance(error, UnfitError) else ""
            fact["condition"] = f"nobody knows whether it runs: {error.reason}"


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
