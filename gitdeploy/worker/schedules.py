"""What is due of the apps' schedules. `tick` looks, once a minute: by a timer in direct mode, within the agent else.

A run belongs to what is live: its schedules are those of its configuration, so that a rollback brings back the earlier ones.
Each run is a process of its own, which nobody waits for; see `scheduledrun`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.config import snapshot
from gitdeploy.config.crontimes import last_due
from gitdeploy.config.jobs import Schedule
from gitdeploy.config.model import App
from gitdeploy.errors import UnfitError
from gitdeploy.releases.records import Deployment, ScheduledRun
from gitdeploy.releases.state import State
from gitdeploy.terminal import console as log
from gitdeploy.worker.site import Site

MINUTE = 60.0
"""Seconds; cron knows no shorter time."""

MARKER = "schedules"
"""File in the installation's directory that is there while a tick has something to look at: without it, none starts Python."""

GRACE = 300.0
"""Seconds for which a time that was missed (the machine was off, the clock was set) is made up for, by one run."""

GIVEN_UP = 600.0
"""Seconds after which a run that could not begin, as without an engine, has failed."""

AT_ONCE = 5
"""Runs of one schedule at the same time, with `overlap`."""

OF_APP, OF_BOX = 10, 30
"""Runs of one app, and of all, at the same time: a tree may have 20 schedules, and each run is a process and a container."""

TICKS = "schedules"
"""The lock of whoever adds runs: who decides by the runs that there are holds it until his own is on record."""

PATIENCE = 10.0
"""Seconds to wait for that: a look takes far less."""


def mark(home: Path) -> None:
    """Have the next tick look: something may go live that has schedules."""
    (home / MARKER).touch(mode=0o600)


def run_lock(number: int) -> str:
    """Return the name of the lock of whoever looks after a run."""
    return f"run-{number}"


@contextmanager
def looking(site: Site) -> Iterator[None]:
    """Hold the lock of whoever looks, so that no run comes on record meanwhile. Raises UnfitError if it is not to be had."""
    with site.spool.lock(TICKS, patience=PATIENCE) as got:
        if not got:
            raise UnfitError("somebody is looking what is due of the schedules", "try again")
        yield


def tick(site: Site, state: State, start: Callable[[int], object]) -> None:
    """Note what is due, and start what nobody looks after.

    Args:
        start: starts a process for the run of this number, see `scheduledrun.look_after`.
    """
    with site.spool.lock(TICKS, PATIENCE) as got:
        if not got:
            return
        now = site.now()
        since = min(state.looked(), now)
        scheduled = list(scheduled_apps(state))
        for live, app in scheduled:
            for name, schedule in app.schedule.items() if in_force(state, live) else ():
                _note_due(state, live, name, schedule, (since, now))
        state.set_looked(now)
        for run in reversed(state.open_runs()):
            if not site.spool.locked(run_lock(run.id)):
                _start(site, state, run, start)
        if not scheduled and not _under_way(state) and not any(fronted_apps(state)):
            _drop_marker(site.home, state)


def each_minute(site: Site, look: Callable[[], object], pause: Callable[[float], object] = time.sleep) -> None:
    """Call `look` at the beginning of each minute in which there is something to look at, for ever."""
    while True:
        pause(MINUTE - site.now() % MINUTE)
        if (site.home / MARKER).exists():
            try:
                look()
            except Exception:
                log.crash("looking what is due failed")


def scheduled_apps(state: State) -> Iterator[tuple[Deployment, App]]:
    """Yield what is live of each app with schedules, and its configuration."""
    return ((live, app) for live, app in _live_apps(state) if app.schedule)


def fronted_apps(state: State) -> Iterator[tuple[Deployment, App]]:
    """Yield the same of each app with domains, whose edge and certificates are looked after each minute."""
    return ((live, app) for live, app in _live_apps(state) if app.domains)


def _live_apps(state: State) -> Iterator[tuple[Deployment, App]]:
    for name in state.apps():
        live = state.live(name)
        app = snapshot.load(live.config) if live else None
        if live and app:
            yield live, app


def in_force(state: State, live: Deployment) -> bool:
    """Return whether the schedules of what is live run: it is neither out of service nor taken out of gitdeploy."""
    return state.stopped(live.app) is None and state.unscheduled(live.app) < live.id


def _note_due(state: State, live: Deployment, name: str, schedule: Schedule, look: tuple[float, float]) -> None:
    """Note the last time that this schedule was due, if that was since the last look, within GRACE and since it is live."""
    since, now = look
    try:
        due = last_due(schedule.cron, schedule.timezone, max(since, now - GRACE, live.finished or now), now)
    except ValueError as error:
        log.note(f"{live.app}: schedule.{name} does not run: {error}")
        return
    if due is not None:
        state.add_run(live.app, name, due, "schedule", skipped=why_not(live.app, name, schedule, state.open_runs()))


def why_not(app: str, name: str, schedule: Schedule, under_way: list[ScheduledRun]) -> str:
    """Return why a schedule of an app must not run now, "" if it may, from all runs that are not over. Pure."""
    of_app = [run for run in under_way if run.app == app]
    running = [run for run in of_app if run.name == name]
    if len(running) < (AT_ONCE if schedule.overlap else 1):
        if len(of_app) >= OF_APP:
            return f"{len(of_app)} runs of {app} are not over"
        return f"{len(under_way)} runs of all apps are not over" if len(under_way) >= OF_BOX else ""
    those = f"run {running[0].id} is" if len(running) == 1 else f"{len(running)} runs are"
    return f"{those} not over"


def _start(site: Site, state: State, run: ScheduledRun, start: Callable[[int], object]) -> None:
    """Start a process for a run that nobody looks after; one that could not begin for too long has failed."""
    if run.started is None and site.now() - run.due > GIVEN_UP:
        _give_up(site, state, run.id)
    else:
        start(run.id)


def _give_up(site: Site, state: State, number: int) -> None:
    """End a run that has not begun, unless somebody looks after it, or has since it was read."""
    with site.spool.lock(run_lock(number)) as got:
        run = state.run(number)
        if got and run and run.started is None:
            reason = f"it could not begin within {GIVEN_UP / 60:.0f} minutes; gitdeploy.log says more"
            state.end_run(number, "failed", site.now(), error=reason)
            site.spool.drop_lock(run_lock(number))


def _drop_marker(home: Path, state: State) -> None:
    """Take the marker away, unless it is wanted again: a deployment sets it once it is on record."""
    (home / MARKER).unlink(missing_ok=True)
    if _under_way(state) or any(scheduled_apps(state)) or any(fronted_apps(state)):
        mark(home)


def _under_way(state: State) -> bool:
    return bool(state.unfinished() or state.open_runs())
