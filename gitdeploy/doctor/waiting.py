"""Pushes that wait, who should deploy them, and whether the clock fits what is on record."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gitdeploy import __version__
from gitdeploy.agent.prepare import AGENT_VERSION
from gitdeploy.doctor.finding import Finding
from gitdeploy.doctor.permissions import look_at_file
from gitdeploy.gitserver.hookconf import Mode
from gitdeploy.intake.spool import Spool
from gitdeploy.releases.state import State

STALE = 60.0
"""Seconds after which a push that nobody works on has been forgotten: a worker takes it within a second."""

CLOCK_SLACK = 60.0
"""Seconds that a record may be ahead of the clock."""

Bell = Literal["heard", "unheard", "missing", "other", "forbidden"]


def examine_queue(home: Path, directory: Path, mode: Mode, now: float) -> Iterator[Finding]:
    """Look at all of it. Raises UnfitError if spool or state.db cannot be read.

    Args:
        home: the gitdeploy directory.
        directory: the spool.
        now: seconds since the epoch.
    """
    spool = Spool(home, directory, directory.parent.parent if mode == "agent" else None)
    if mode == "agent":
        version = look_at_file(home / AGENT_VERSION, 100).data.decode("utf-8", "replace").strip()
        yield from judge_agent(look_at_bell(spool.directory), version, __version__)
    if (home / "state.db").exists():
        with State(home / "state.db") as state:
            queue, newest = look_at_queue(spool, state, now), newest_time(state)
    else:
        queue, newest = look_at_queue(spool, None, now), None
    problems = list(judge_queue(queue, spool.directory, mode))
    yield from problems or [Finding("ok", "queue", f"{spool.directory}: nothing waits in vain")]
    yield judge_clock(newest, now)


@dataclass(frozen=True)
class Queue:
    """What waits.

    Attributes:
        ages: seconds since each push, by app, without the apps that a worker has in hand.
        bad: files in the spool that are no push records: name and why; "" for one set aside earlier.
        interrupted: apps with a deployment that began, did not end, and has no worker.
    """

    ages: Mapping[str, Sequence[float]]
    bad: Mapping[str, str]
    interrupted: Sequence[str]


def look_at_queue(spool: Spool, state: State | None, now: float) -> Queue:
    """Look into the spool and the records. Raises UnfitError if the spool cannot be read."""
    records, bad = spool.pending()
    aside = {path.name: "" for path in spool.directory.glob(".*.push.bad")}
    waiting: dict[str, list[float]] = {}
    for record in records:
        waiting.setdefault(record.app, []).append(now - record.order[0])
    begun = {row.app for row in state.unfinished() if row.status == "running"} if state else set()
    idle = {app for app in waiting.keys() | begun if not spool.locked(app)}
    return Queue({app: waiting[app] for app in sorted(idle & waiting.keys())}, {**bad, **aside}, sorted(idle & begun))


def judge_queue(queue: Queue, spool: Path, mode: Mode) -> Iterator[Finding]:
    """Yield what waits in vain. Pure."""
    program = spool.parent / "bin" / "gitdeploy"
    start = (
        "see whether the agent runs: docker logs gitdeploy; docker service logs gitdeploy; or journalctl -u gitdeploy"
        if mode == "agent"
        else f"{program} worker --once"
    )
    for app, ages in queue.ages.items():
        if max(ages) > STALE:
            found = f"{_pushes(len(ages))} in {spool} for {max(ages):.0f} s, and no worker has taken it"
            yield Finding("error", "queue", found, start, app)
    for app in queue.interrupted:
        if app not in queue.ages:
            found = "a deployment was interrupted; the next worker puts right what it left"
            yield Finding("warning", "queue", found, start, app)
    if queue.bad:
        found = f"{spool} holds what is no push record: " + ", ".join(
            f"{name} ({why})" if why else name for name, why in list(queue.bad.items())[:5]
        )
        yield Finding("warning", "queue", found, "look at it; remove it if it is of no use")


def _pushes(count: int) -> str:
    return "a push waits" if count == 1 else f"{count} pushes wait"


def look_at_bell(spool: Path) -> Bell:
    """Return whether an agent holds the FIFO that hooks ring; writes nothing. Never raises OSError."""
    try:
        if not stat.S_ISFIFO((spool / "bell").lstat().st_mode):
            return "other"
        os.close(os.open(spool / "bell", os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
    except FileNotFoundError:
        return "missing"
    except OSError as error:  # fifo(7): ENXIO without a reader
        return "unheard" if error.errno == errno.ENXIO else "forbidden"
    return "heard"


def judge_agent(bell: Bell, version: str, own_version: str) -> Iterator[Finding]:
    """Yield whether the agent runs, and is of this version ("" where it does not say). Pure."""
    start = "docker start gitdeploy (a service: systemctl start gitdeploy), or install.sh --mode agent again"
    problem = {
        "missing": "has never run here",
        "unheard": "does not run: pushes wait",
        "other": "cannot be called: spool/bell is no FIFO",
        "forbidden": "cannot be looked for: spool/bell may not be opened",
    }.get(bell)
    if problem:
        fix = f"remove spool/bell, then: {start}" if bell == "other" else start
        yield Finding("error", "agent", f"the agent {problem}", fix)
    elif version and version != own_version:
        found = f"the agent is gitdeploy {version}, this is {own_version}"
        yield Finding("error", "agent", found, "install.sh --mode agent again (a service: systemctl restart gitdeploy)")
    else:
        yield Finding("ok", "agent", "runs" + (f", gitdeploy {version}" if version else ""))


def judge_clock(newest: float | None, now: float) -> Finding:
    """Return whether the newest record, in seconds since the epoch, is not of the future. Pure."""
    ahead = newest - now if newest is not None else 0.0
    if ahead <= CLOCK_SLACK:
        return Finding("ok", "clock", "not behind the newest record")
    found = f"the clock is {ahead:.0f} s behind the newest record: it was set back, or was ahead then"
    return Finding("warning", "clock", found, "see whether it is synchronized: timedatectl")


def newest_time(state: State) -> float | None:
    """Return the latest time on record, in seconds since the epoch."""
    rows = [row for app in state.apps() for row in state.history(app, 1)]
    return max((time for row in rows for time in (row.created, row.started, row.finished) if time is not None), default=None)
