"""`gitdeploy status [APP] [--json|--watch]`: for each app what is live, whether it runs, what is under way, what waits."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gitdeploy.cli.installation import app_name, known_apps, make_site, urls
from gitdeploy.cli.screen import painter, watch
from gitdeploy.cli.tables import ago, table
from gitdeploy.config import snapshot
from gitdeploy.errors import ConfigError, GitdeployError, UnfitError
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site

if TYPE_CHECKING:
    from gitdeploy.config.model import App, Config
    from gitdeploy.intake.push import PushRecord
    from gitdeploy.targets.target import Strength, Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", nargs="?", metavar="APP", help="owner/repo; all apps if left out")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="for scripts")
    how.add_argument("--watch", action="store_true", help="show it again every 2 s, until Ctrl-C")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the status; return 0."""
    site = make_site(environ)
    if arguments.json:
        print(json.dumps(_all_facts(site, arguments.app), indent=2))
        return 0
    paint = painter(environ)
    if arguments.watch:
        return watch(lambda: _text(_all_facts(site, arguments.app), site.now(), paint))
    print(_text(_all_facts(site, arguments.app), site.now(), paint))
    return 0


def _all_facts(site: Site, app: str | None) -> list[dict[str, Any]]:
    with site.open_state() as state:
        apps = [app_name(app, site, state)] if app else known_apps(site, state)
        config = _config(site)
        waiting = site.spool.pending()[0]
        facts = [_facts(name, site, state, config, waiting) for name in apps]
        _add_conditions(facts, site, state, config)
    return facts


def _text(facts: Sequence[dict[str, Any]], now: float, paint: Callable[[str], str]) -> str:
    if not facts:
        return "no apps yet: run install.sh --repo OWNER/NAME --image IMAGE"
    rows = [
        [
            *(f["app"], f["version"] or "-", ago(now, f["live_since"]), _runs(f)),
            *(f["now"], f["last"], str(f["waiting"])),
        ]
        for f in facts
    ]
    lines = [table(["APP", "LIVE", "SINCE", "RUNS", "NOW", "LAST DEPLOYMENT", "WAITING"], rows, paint)]
    for several in (f for f in facts if f["processes"]):
        counts = [f"{name} {c['running']} of {c['wanted']}{_where(c)}" for name, c in several["processes"].items()]
        lines.append(f"{several['app']}: {', '.join(counts)}")
    for fact in facts:
        lines += [f"{fact['app']}: accessory {name} {how or 'runs'}" for name, how in fact["accessories"].items()]
    lines += [f"{fact['app']}: {url}" for fact in facts for url in fact["urls"]]
    return "\n".join([*lines, *(f"{wrong['app']}: {wrong['condition']}" for wrong in facts if wrong["condition"])])


def _runs(fact: dict[str, Any]) -> str:
    """Return a word for whether what is live runs."""
    if not fact["version"]:
        return "-"
    stopped = fact["runs"] is False and fact["stopped_since"]
    return "stopped" if stopped else {True: "yes", False: "NO", None: "?"}[fact["runs"]]


def _where(count: dict[str, Any]) -> str:
    """Return the machines of a cluster that run a process, " (box1, box2 ×2)"; "" on a single engine."""
    machines = Counter(count.get("where", ()))
    listed = ", ".join(name + (f" ×{times}" if times > 1 else "") for name, times in sorted(machines.items()))
    return f" ({listed})" if listed else ""


def _facts(app: str, site: Site, state: State, config: Config | None, waiting: Sequence[PushRecord]) -> dict[str, Any]:
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
        "waiting": sum(record.app == app and not (newest and record.name == newest.record) for record in waiting),
        "enrolled": config is not None and app in config.apps,
    }


def _add_conditions(facts: list[dict[str, Any]], site: Site, state: State, config: Config | None) -> None:
    """Add whether what is live really runs, None where nobody can tell, what is wrong with it, and its processes."""
    engine, silent = None, ""
    for fact in facts:
        live = state.live(fact["app"])
        app = snapshot.load(live.config) if live else None
        fact["runs"], fact["condition"], fact["processes"] = None, "", {}
        fact["accessories"], fact["urls"] = {}, []
        if app is None:
            continue
        fact["urls"] = urls(app, config)
        try:
            if silent:  # an engine that does not answer is asked once
                raise UnfitError(silent)
            engine = engine or site.connect()
            target = site.target(lambda: engine)  # noqa: B023
            from gitdeploy.targets.target import whole_condition  # noqa: PLC0415 - where something is live

            found = target.processes(app)
            fact["condition"] = whole_condition(found)
            fact["processes"] = _strengths(app, found)
            fact["runs"] = not fact["condition"]
            fact["accessories"] = _accessories(target, _with_tables_of_now(app, site, config))
            if fact["condition"] and fact["stopped_since"]:
                since = ago(site.now(), fact["stopped_since"])
                fact["condition"] = f"out of service since {since}; gitdeploy start {fact['app']} brings it back"
        except GitdeployError as error:
            silent = error.reason if isinstance(error, UnfitError) else ""
            fact["condition"] = f"nobody knows whether it runs: {error.reason}"


def _strengths(app: App, found: Sequence[Strength]) -> dict[str, Any]:
    """Return the numbers of each process by name: of an app that has several, or that runs on several machines."""
    if app.target == "docker" and not app.processes:
        return {}
    on_machines = app.target != "docker"
    return {
        one.process: {"running": one.running, "wanted": one.wanted, **({"where": list(one.where)} if on_machines else {})}
        for one in found
    }


def _accessories(target: Target, app: App) -> dict[str, str]:
    """Return by name what is wrong with each accessory, "" if it runs; one without a table is told."""
    found = target.accessories.look(app)
    left = f"has no table any more: gitdeploy accessory {app.name} NAME remove"
    return {one.name: one.wrong if one.configured else left.replace("NAME", one.name) for one in found}


def _with_tables_of_now(app: App, site: Site, config: Config | None) -> App:
    """Return what is live with the accessories that config.toml has now, where that can be read."""
    try:
        now = (config or site.load_config(app.name)).apps.get(app.name)  # another app's mistake does not concern this one
    except ConfigError:
        return app
    return replace(app, accessories=now.accessories) if now else app


def _now(newest: Deployment | None, working: bool) -> str:
    if newest is None or newest.ended:
        return "working" if working else "idle"
    return f"{newest.stage or 'starting'} {newest.version}".strip() if working else "interrupted"


def _config(site: Site) -> Config | None:
    """Return config.toml, None if there are mistakes in it."""
    try:
        return site.load_config()
    except ConfigError:
        return None
