"""Whether somebody looks, minute by minute, what is due of the apps' schedules and domains."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gitdeploy.doctor.finding import Finding
from gitdeploy.gitserver.hookconf import Mode
from gitdeploy.releases.state import State
from gitdeploy.worker.schedules import fronted_apps, in_force, scheduled_apps

LATE = 180.0
"""Seconds without a look after which jobs, and renewals of certificates, are missed: there is one a minute."""

FIX: dict[Mode, str] = {
    "direct": "run install.sh again, as root where systemd or cron runs; without both: gitdeploy help install",
    "agent": "see whether the agent runs, and what its log says",
}


def examine_ticks(state: State, mode: Mode, now: float) -> Iterator[Finding]:
    """Look when the last look was; `now` is seconds since the epoch. Nothing is found where no app has either."""
    scheduled = [deployment for deployment, _ in scheduled_apps(state) if in_force(state, deployment)]
    fronted = [deployment for deployment, _ in fronted_apps(state)]
    if not (live := scheduled + fronted):
        return
    counts = (("schedules", scheduled), ("domains", fronted))
    count = "apps with " + ", with ".join(f"{what}: {len(found)}" for what, found in counts if found)
    looked = state.looked()
    if now - max(looked, min(deployment.finished or now for deployment in live)) > LATE:
        since = f"since {datetime.fromtimestamp(looked):%Y-%m-%d %H:%M} nobody has" if looked else "nobody has ever"
        yield Finding("error", "schedules", f"{count}, and {since} looked what is due", FIX[mode])
    else:
        yield Finding("ok", "schedules", count)
