"""`gitdeploy schedule APP` lists an app's schedules, `gitdeploy schedule APP NAME` runs one now.

`--tick` is for the timer that install.sh sets up, and `--run` for the process that looks after one run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from gitdeploy.cli.installation import live_app, make_site
from gitdeploy.cli.logs import follow_run
from gitdeploy.cli.tables import moment, table
from gitdeploy.cli.who import audit
from gitdeploy.config.crontimes import next_due
from gitdeploy.config.jobs import Schedule
from gitdeploy.config.model import App
from gitdeploy.errors import UsageError
from gitdeploy.intake.cancelling import CancelFlag, stop_on_sigterm
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State
from gitdeploy.terminal.redact import harmless
from gitdeploy.worker.edgetick import look_at_edge
from gitdeploy.worker.schedules import in_force, looking, mark, run_lock, tick, why_not
from gitdeploy.worker.site import Site

TAKEN_UP = 10.0
"""Seconds within which a process looks after a run; the next tick does else."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = f"{parser.prog} APP [NAME]"
    parser.add_argument("app", nargs="?", metavar="APP", help="owner/repo")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the schedule to run now; lists all of them if left out")
    parser.add_argument("--tick", action="store_true", help="start what is due (run by a timer, once a minute)")
    parser.add_argument("--run", type=int, metavar="N", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """List, run or look; return 0, or the exit code of what was run."""
    if not arguments.app and not arguments.tick and not arguments.run:
        raise UsageError("expected APP, found none", "gitdeploy schedule APP lists its schedules")
    site = make_site(environ)
    if arguments.run:
        return _look_after(site, arguments.run)
    if arguments.tick:
        from gitdeploy.terminal import console  # noqa: PLC0415 - loguru comes with it

        console.setup(site.home / "logs" / "gitdeploy.log")
        with site.open_state() as state:
            tick(site, state, start)
            look_at_edge(site, state, start_edge)
        return 0
    with site.open_state() as state:
        live, app = live_app(arguments.app, site, state)
        if not arguments.name:
            print(_listed(site, state, live, app))
            return 0
        number = _ask(site, state, live, app, arguments.name)
        audit(site, environ, "schedule", app=app.name, deployment=live.id, version=live.version, reason=arguments.name)
        return _stay(site, state, app.name, number)


def start(number: int) -> None:
    """Start a process that looks after a run, and outlives this one."""
    _start("schedule", "--run", str(number))


def start_edge() -> None:
    """Start a process that does what is due of the edge, and outlives this one."""
    _start("edge", "apply", "--tick")


def _start(*words: str) -> None:
    subprocess.Popen(
        [sys.executable, "-s", "-P", "-m", "gitdeploy", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _look_after(site: Site, number: int) -> int:
    from gitdeploy.worker.scheduledrun import look_after  # noqa: PLC0415 - the way to the engine comes with it

    return unattended(site, f"run {number}", lambda state, stop: look_after(site, state, number, stop))


def unattended(site: Site, what: str, work: Callable[[State, CancelFlag], object]) -> int:
    """Do what nobody waits for, until SIGTERM: all that is said goes to gitdeploy's log; return 0, 1 if it failed."""
    from gitdeploy.terminal import console  # noqa: PLC0415 - loguru comes with it

    stop = stop_on_sigterm()
    console.setup(site.home / "logs" / "gitdeploy.log")
    try:
        with site.open_state() as state:
            work(state, stop)
    except Exception:
        console.crash(f"{what} could not be looked after")
        return 1
    return 0


def _listed(site: Site, state: State, live: Deployment, app: App) -> str:
    if not app.schedule:
        return f"{app.name} {live.version}, which is live, has no schedules"
    now, runs = site.now(), in_force(state, live)
    rows = []
    for name, schedule in app.schedule.items():
        last = state.last_run(app.name, name)
        told = f"{moment(last.started or last.due)} {last.status} (run {last.id})" if last else "-"
        rows.append([name, f"{schedule.cron} {schedule.timezone}", told, _next(schedule, now) if runs else "-"])
    listed = table(["NAME", "WHEN", "LAST RUN", "NEXT"], rows)
    if state.stopped(app.name) is not None:
        return f"{listed}\nnone runs: the app is out of service; gitdeploy start {app.name} brings it back"
    return listed if runs else f"{listed}\nnone runs: the app was taken out of gitdeploy; its next deployment brings them back"


def _next(schedule: Schedule, now: float) -> str:
    try:
        return moment(next_due(schedule.cron, schedule.timezone, now))
    except ValueError as error:
        return harmless(str(error))


def _ask(site: Site, state: State, live: Deployment, app: App, name: str) -> int:
    """Put a run on record; return its number. Raises UsageError if there is no such schedule, or it must not run now."""
    if name not in app.schedule:
        known = f"its schedules: {', '.join(app.schedule) or 'none'}"
        raise UsageError(f"{app.name} {live.version}, which is live, has no schedule {name[:40]!r}", known)
    if not in_force(state, live):
        raise UsageError(
            f"{app.name} is out of service", f"gitdeploy start {app.name}, or deploy it; gitdeploy run runs any command"
        )
    with looking(site):
        if why := why_not(app.name, name, app.schedule[name], state.open_runs()):
            raise UsageError(f"{name} does not run now: {why}", f"gitdeploy history {app.name} --runs")
        mark(site.home)
        return state.add_run(app.name, name, site.now(), "command")


def _stay(site: Site, state: State, app: str, number: int) -> int:
    """Show what a run says until it ends; return its exit code."""
    start(number)
    until = time.monotonic() + TAKEN_UP

    def looked_after() -> bool:
        return time.monotonic() <= until or site.spool.locked(run_lock(number))

    try:
        run = follow_run(state, site.run_log(app, number), number, looked_after)
    except KeyboardInterrupt:
        print(f"\nthe run goes on; see `gitdeploy logs {app} --run {number}`", file=sys.stderr)
        raise
    if run is None or run.status == "succeeded":
        return 0
    if run.ended is None:
        print("nobody looks after it now; the next tick takes it up", file=sys.stderr)
    return run.exit_code or 1
