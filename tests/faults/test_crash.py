"""kill -9 at every effect: whatever the moment, the old or the new release serves, and the next run finishes the deployment."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.conftest import MakeTiny, Tiny
from tests.faults.faulty import Point
from tests.support.images import BaseImages
from tests.support.prober import Prober
from tests.support.summary import Summary

ROUTED = 'router = {{ image = "{haproxy}", drain_timeout = "2s" }}\n'
STRATEGIES = {
    "recreate": 'strategy = "recreate"\n',
    "rolling": 'strategy = "rolling"\nreplicas = 2\n' + ROUTED,
    "blue-green": 'strategy = "blue-green"\n' + ROUTED,
    "canary": 'strategy = "canary"\ncanary = {{ weight = [50], duration = "300ms" }}\n' + ROUTED,
}
QUICK = 'health.min_uptime = "100ms"'
PROCESSES = (
    f'processes.worker = {{{{ command = "sleep 1000", replicas = 2, {QUICK} }}}}\n'
    f'processes.queue = {{{{ command = "sleep 1000", overlap = false, {QUICK} }}}}\n'
)
CRASHED = {**STRATEGIES, "processes": 'strategy = "blue-green"\n' + ROUTED + PROCESSES}
REPLICAS = {"rolling": 2, "processes": 4}
"""Containers of a release, one if nothing is said."""

SAMPLES = {"recreate": 3, "rolling": 2, "blue-green": 1, "canary": 1, "processes": 2}
"""Points of a run without --exhaustive, for each victim; all of them at effects that change something."""

PARTS = 4
"""Tests that the points of one strategy and victim are shared out to, so that they can run side by side."""

READS = {f"engine.{name}" for name in ("info", "image", "images", "container", "containers", "networks", "logs", "wait")}

SETTLED = 10.0
"""Seconds for the worker's process to end after it has let the pusher go."""


def points(effects: Counter[str]) -> Iterator[Point]:
    """Before and after every effect, and in the middle of the long ones."""
    for effect, count in sorted(effects.items()):
        for nth in range(1, count + 1):
            yield Point(effect, nth, "before")
            if effect in ("engine.build", "engine.push"):
                yield Point(effect, nth, "during")
            if not effect.startswith("file."):  # of these only the begin is known; what follows is another effect
                yield Point(effect, nth, "after")


def changing(every: list[Point]) -> list[Point]:
    """The points at effects that change something."""
    return [point for point in every if point.effect not in READS]


def sample(every: list[Point], count: int) -> list[Point]:
    """So many points, spread over all that change something."""
    some = changing(every)
    return [some[len(some) * i // count] for i in range(count)]


@dataclass
class Trial:
    """One release, killed at one point; `wrong` is what was not as promised.

    Attributes:
        replicas: containers beside the router.
        own_network: whether the app has accessories, and a network for them.
    """

    tiny: Tiny
    routed: bool
    replicas: int
    own_network: bool = False
    wrong: list[str] = field(default_factory=list)

    def run(self, old: str, new: str, point: Point, victim: str) -> bool:
        """Pushes `new` over `old` and is killed at `point`; returns whether that point was reached."""
        tiny = self.tiny
        tiny.kill_at(point, victim)
        with Prober(tiny.url, pause=0.01, host=tiny.host) as prober:
            push = tiny.push(new, timeout=300)  # the machine may be busy; a hook that hangs takes longer
            fired = tiny.fired.exists()
            tiny.kill_no_more()
            if list((tiny.site.home / "spool").glob("*.push")):
                tiny.site.run("worker", "--once")
            self._settle()
        self.expect("exit code of the push", push.code, 0)
        self.expect("traceback", "Traceback" in push.text, False)
        self.expect("answers", set(prober.findings.bodies) <= {old, new}, True)
        if self.routed:
            self.expect("requests lost", dict(prober.findings.errors), {})
        self.check(new)
        return fired

    def check(self, version: str) -> None:
        """Everything is as after a deployment of `version` without any fault."""
        self._settle()
        self.expect("serving", self.tiny.get(), version)
        self.expect("releases", self.tiny.versions(), {version})
        self.check_leftovers()
        self._check_history(version)

    def check_leftovers(self) -> None:
        """Nothing is there that is not needed."""
        self._check_engine()
        self._check_files()

    def expect(self, what: str, found: object, expected: object) -> None:
        """Notes a difference."""
        if found != expected:
            self.wrong.append(f"{what}: expected {expected!r}, found {found!r}")

    def _settle(self) -> None:
        """The hook lets the pusher go when the record is gone; the worker's last steps follow."""
        end = time.monotonic() + SETTLED
        lock = self.tiny.site.home / "locks" / f"{self.tiny.name}.lock"
        while held(str(lock)) and time.monotonic() < end:
            time.sleep(0.02)

    def _check_engine(self) -> None:
        found = self.tiny.containers()
        self.expect("states", set(found.values()), {"running"})
        self.expect("containers", len(found), self.replicas + self.routed)
        self.expect("named container", self.tiny.container in found, True)
        self.expect("networks", len(self.tiny.networks()), self.routed + self.own_network)
        label = f"gitdeploy.app={self.tiny.name}"
        self.expect("untagged images", self.tiny.client.images.list(filters={"label": label, "dangling": True}), [])

    def _check_files(self) -> None:
        home = self.tiny.site.home
        self.expect("spool", [path.name for path in (home / "spool").iterdir()], [])
        logs = [path.name for path in (home / "logs").rglob("*") if path.is_file() or path.is_symlink()]
        odd = [name for name in logs if not re.fullmatch(r"(\d+|latest|gitdeploy)\.log", name)]
        self.expect("logs", odd, [])
        locks = [path.name for path in (home / "locks").rglob("*") if path.is_file() and path.suffix != ".lock"]
        self.expect("locks", locks, [])
        repository = self.tiny.site.gogs.repository(self.tiny.name)
        self.expect("in the repository", [p.name for p in repository.iterdir() if "tmp" in p.name], [])

    def _check_history(self, version: str) -> None:
        history = self.tiny.site.history(self.tiny.name)
        newest = history[0]
        self.expect("status", (newest["status"], newest["version"], newest["error"]), ("succeeded", version, ""))
        self.expect("deployments", [d["version"] for d in history].count(version), 1)
        self.expect("unfinished", [d["id"] for d in history if d["status"] in ("queued", "running")], [])
        self.expect("stages without an end", [s["name"] for s in newest["stages"] if s["status"] == "running"], [])
        with sqlite3.connect(self.tiny.site.home / "state.db") as db:
            self.expect("state.db", db.execute("PRAGMA integrity_check").fetchone(), ("ok",))


def held(path: str) -> bool:
    """Whether a process has the file open (an app's lock: as long as its worker lives)."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            for entry in list((process / "fd").iterdir()):
                with contextlib.suppress(OSError):
                    if str(entry.readlink()) == path:
                        return True
    return False


WHAT = {"child": "kill -9 of the worker", "group": "kill -9 of the supervisor too"}


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", [pytest.param(n, marks=pytest.mark.exhaustive if n else ()) for n in range(PARTS)])
@pytest.mark.parametrize("victim", ["child", "group"])
@pytest.mark.parametrize("strategy", CRASHED)
def test_kill_at_every_effect(
    strategy: str,
    victim: str,
    part: int,
    make_tiny: MakeTiny,
    base_images: BaseImages,
    summary: Summary,
    pytestconfig: pytest.Config,
) -> None:
    tiny = make_tiny(CRASHED[strategy].format(haproxy=base_images.haproxy))
    assert "0 is live" in tiny.push("0").text
    effects = tiny.effects(lambda: tiny.push("1"))
    every = list(points(effects))
    chosen = every[part::PARTS] if pytestconfig.getoption("--exhaustive") else sample(every, SAMPLES[strategy])
    row = summary.row(f"{WHAT[victim]}, {strategy}")
    row.known += 0 if part else len(every)
    wrong: list[str] = []
    for number, point in enumerate(chosen, 2):
        trial = Trial(tiny, routed=strategy != "recreate", replicas=REPLICAS.get(strategy, 1))
        fired = trial.run(str(number - 1), str(number), point, victim)
        row.tried += fired
        row.held += fired and not trial.wrong
        wrong += [f"{point}: {text}" for text in trial.wrong]
    assert not wrong, "\n".join(wrong)
