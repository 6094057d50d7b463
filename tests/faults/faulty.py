"""What bin/gitdeploy runs in a fault test: the real command line, killed at one point of a plan.

A point is an effect of gitdeploy's: a call to the engine, a write to state.db, an operation on the spool, or a change of a file
in the data directory. The plan (a JSON file that FAULT_PLAN names) says at which occurrence of which effect, before it, during
it or after it, what happens: "child" kills the app's process, "group" the supervisor and all its children, "stop" asks all of
them to stop, "raise" raises an exception, and "other" runs the plan's `command` (which kills the engine, say). Without a point,
the plan makes every effect known in its `record` file, one a line: name, process, monotonic time, begin or end, and app.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gitdeploy.cli
import gitdeploy.cli.schedule
import gitdeploy.cli.worker
from gitdeploy.intake.spool import Spool
from gitdeploy.releases.state import State

STATE = ("enqueue", "end", "update", "stage", "end_stage", "begin_task", "end_task", "place_run", "begin_run", "end_run")
SPOOL = ("done", "persist", "sweep", "set_aside")
FILES = {"os.rename", "os.remove", "os.symlink", "os.link", "os.mkdir", "open"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
IN_THE_MIDDLE = 0.1
"""Seconds after the begin of a call, for a kill during it."""


@dataclass(frozen=True)
class Point:
    """Where to kill.

    Attributes:
        effect: for example "engine.create".
        nth: occurrence in the life of the process, from 1.
        when: before, during or after.
    """

    effect: str
    nth: int
    when: str

    def __str__(self) -> str:
        return f"{self.when} {self.effect} #{self.nth}"


class Saboteur:
    """Counts effects and kills at the planned one."""

    def __init__(self, plan: dict[str, Any], data: Path) -> None:
        self._record = plan.get("record")
        self._point = Point(**plan["point"]) if "point" in plan else None
        self._victim = plan.get("victim", "child")
        self._fired = Path(plan["fired"])
        self._command: list[str] = plan.get("command", [])
        self._data = str(data)
        self._counts: Counter[str] = Counter()
        self._mutex = threading.RLock()
        self.app = ""

    def begin(self, effect: str) -> int:
        """An effect is about to happen; returns its number."""
        with self._mutex:
            self._counts[effect] += 1
            number = self._counts[effect]
        self._note(effect, "begin")
        self._maybe(effect, number, "before")
        if self._point == Point(effect, number, "during"):
            timer = threading.Timer(IN_THE_MIDDLE, self._kill)
            timer.daemon = True
            timer.start()
        return number

    def end(self, effect: str, number: int) -> None:
        """The effect has happened."""
        self._note(effect, "end")
        self._maybe(effect, number, "after")

    def _note(self, effect: str, what: str) -> None:
        if self._record:
            fd = os.open(self._record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(fd, f"{effect} {os.getpid()} {time.monotonic()} {what} {self.app or '-'}\n".encode())
            os.close(fd)

    def _maybe(self, effect: str, number: int, when: str) -> None:
        if self._point == Point(effect, number, when):
            self._kill()

    def _kill(self) -> None:
        try:
            os.close(os.open(self._fired, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return
        if self._victim == "other":
            subprocess.run(self._command, stdin=subprocess.DEVNULL, check=False)
            return
        if self._victim == "raise":
            raise RuntimeError("sabotage")
        if self._victim == "stop":
            os.killpg(os.getpgrp(), signal.SIGTERM)
            return
        if self._victim == "group":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """The same method, as an effect."""

        @functools.wraps(method)
        def wrapped(*args: Any, **options: Any) -> Any:
            if name == "state.enqueue":
                self.app = args[1]  # a worker's process is for one app
            number = self.begin(name)
            result = method(*args, **options)
            self.end(name, number)
            return result

        return wrapped

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: Python tells of a change of a file before it is made."""
        if event not in FILES or not isinstance(arguments[0], str | Path):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITES):
            return
        path = str(arguments[0])
        if path.endswith(".cancel") or (event == "os.mkdir" and Path(path).exists()):
            return  # only a look whether there is one
        if path.startswith(self._data) or not path.startswith("/"):  # relative ones: in an opened directory
            self.begin(f"file.{event.removeprefix('os.')}")


class Watched:
    """An engine whose every call is an effect."""

    def __init__(self, engine: Any, saboteur: Saboteur) -> None:
        self._engine = engine
        self._saboteur = saboteur

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        return self._saboteur.wrap(f"engine.{name}", found) if callable(found) else found


def main() -> int:
    """Runs the command line with the plan at work."""
    plan_file = Path(os.environ["FAULT_PLAN"])
    if sys.argv[1:2] in (["worker"], ["schedule"]) and plan_file.exists():
        saboteur = Saboteur(json.loads(plan_file.read_text()), Path(os.environ["GITDEPLOY_HOME"]).parent)
        for owner, names, kind in ((State, STATE, "state"), (Spool, SPOOL, "spool")):
            for name in names:
                setattr(owner, name, saboteur.wrap(f"{kind}.{name}", getattr(owner, name)))
        make_site = gitdeploy.cli.worker.make_site
        for verb in (gitdeploy.cli.worker, gitdeploy.cli.schedule):
            verb.make_site = lambda environ: watch(make_site(environ), saboteur)
        sys.addaudithook(saboteur.audit)
    return gitdeploy.cli.main()


def watch(site: Any, saboteur: Saboteur) -> Any:
    """The same installation, with its engine watched."""
    return replace(site, connect=lambda: Watched(site.connect(), saboteur))


if __name__ == "__main__":
    sys.exit(main())
