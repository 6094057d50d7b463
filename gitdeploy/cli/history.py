"""`gitdeploy history APP [--runs] [--json|--watch] [-n N]`: an app's deployments, newest first; the runs of its schedules."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence

from gitdeploy.cli.installation import app_name, make_site, urls
from gitdeploy.cli.screen import painter, watch
from gitdeploy.cli.tables import moment, span, table
from gitdeploy.config import snapshot
from gitdeploy.engine.types import Image
from gitdeploy.errors import ConfigError, GitdeployError
from gitdeploy.releases.records import Deployment, ScheduledRun, as_json
from gitdeploy.releases.release import APP
from gitdeploy.releases.retention import whereabouts
from gitdeploy.terminal.redact import harmless
from gitdeploy.worker.site import Site

FEW = 5
"""Runs of schedules behind the deployments; --runs shows more."""

MARKS = {"engine": " *", "registry": " +", "nowhere": "", "unknown": " ?"}
"""Behind the version of what can be rolled back to; see `_kept`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")
    parser.add_argument("-n", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--runs", action="store_true", help="the runs of its schedules instead")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="for scripts")
    how.add_argument("--watch", action="store_true", help="show it again every 2 s, until Ctrl-C")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the history; return 0."""
    site, paint = make_site(environ), painter(environ)
    if arguments.watch:
        return watch(lambda: _page(site, arguments, paint))
    print(_page(site, arguments, paint))
    return 0


def _page(site: Site, arguments: argparse.Namespace, paint: Callable[[str], str]) -> str:
    with site.open_state() as state:
        name = app_name(arguments.app, site, state)
        if arguments.runs:
            return _shown_runs(state.runs(name, arguments.n), paint, json_wanted=arguments.json)
        runs = [] if arguments.json else state.runs(name, min(arguments.n, FEW))
        deployments = state.history(name, arguments.n)
        images = _images(site, name, deployments)
        kept = {d.id: _kept(d, images) for d in deployments}
        if arguments.json:
            return json.dumps([{**as_json(d, state.stages(d.id)), "kept": kept[d.id]} for d in deployments], indent=2)
    header = ["ID", "STARTED", "VERSION", "COMMIT", "BY", "STATUS", "TOOK", "WHAT"]
    rows = [_row(d, kept[d.id]) for d in deployments]
    found = [f"{name} is at {url}" for url in _urls(site, deployments)]
    found.append(table(header, rows, paint) if deployments else "no deployments yet")
    return "\n".join([*found, *(["", _shown_runs(runs, paint)] if runs else [])])


def _shown_runs(runs: Sequence[ScheduledRun], paint: Callable[[str], str], *, json_wanted: bool = False) -> str:
    """Return runs of schedules, newest first."""
    if json_wanted:
        return json.dumps([vars(run) for run in runs], indent=2)
    rows = [
        [
            *(str(run.id), moment(run.due), run.version or "-", run.name, run.status, span(run.started, run.ended)),
            harmless(run.error)[:100],
        ]
        for run in runs
    ]
    header = ["RUN", "DUE", "VERSION", "SCHEDULE", "STATUS", "TOOK", "WHAT"]
    return table(header, rows, paint) if runs else "no runs of schedules yet"


def _urls(site: Site, deployments: Sequence[Deployment]) -> list[str]:
    """Return where the app answers by a name, [] where it has none or config.toml cannot be read."""
    live = next((d for d in deployments if d.status == "succeeded"), None)
    app = snapshot.load(live.config) if live else None
    try:
        return urls(app, site.load_config(app.name)) if app else []
    except ConfigError:
        return []


def _images(site: Site, app: str, deployments: Sequence[Deployment]) -> list[Image] | None:
    """Return the app's images, None where the engine does not tell; it is asked only if one of these may be kept."""
    if not any(d.retained for d in deployments):
        return []
    try:
        return site.connect().images({APP: app})
    except GitdeployError:
        return None


def _kept(d: Deployment, images: list[Image] | None) -> str:
    """Return where the image is that a rollback would take: engine, registry, nowhere; "unknown" if nobody can tell."""
    app = snapshot.load(d.config) if d.retained else None
    if app is None:
        return "nowhere"
    return "unknown" if images is None else whereabouts(app, d, images)


def _row(d: Deployment, kept: str) -> list[str]:
    what = f"{d.stage}: {d.error.splitlines()[0]}" if d.status == "failed" and d.error else d.error or d.subject
    by = d.pusher or d.trigger
    took = span(d.started, d.finished)
    return [
        str(d.id),
        moment(d.started or d.created),
        (d.version or "-") + MARKS[kept],
        d.commit_id[:12],
        by,
        d.status,
        took,
        harmless(what)[:100],
    ]
