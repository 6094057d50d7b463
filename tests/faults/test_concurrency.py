"""Many pushes at once: every app ends on its newest, every push has a record, and no two workers share an app."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.faults.conftest import MakeTiny, Tiny
from tests.support.net import wait_until

EVERYTHING = pytest.param(10, 5, marks=pytest.mark.exhaustive)  # minutes of full load
PARALLEL = 2
"""server.parallel as it is built in."""


def push_often(tiny: Tiny, number: int, back: bool) -> list[subprocess.Popen[str]]:
    """Pushes that many versions within about a second, at last, to go `back`, an older one by force; waits for none."""
    commits = [tiny.release(str(version)) for version in range(number)]
    order = [*commits[: number - 1], commits[1] if back else commits[-1]]
    pushes = []
    for commit in order:
        pushes.append(tiny.clone.start_push(tiny.remote, f"+{commit}:refs/heads/main"))
        repository = str(tiny.site.gogs.repository(tiny.name))
        wait_until(lambda: tip(repository) == commit, 60, f"{tiny.name} at {commit}")  # noqa: B023
    return pushes


def tip(repository: str) -> str:
    path = Path(repository, "refs/heads/main")
    return path.read_text().strip() if path.exists() else ""


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("many", "pushes"), [(2, 4), EVERYTHING])
def test_several_pushes_each_to_several_apps(many: int, pushes: int, make_tiny: MakeTiny) -> None:
    apps = [make_tiny(suffix=f"-{number}") for number in range(many)]
    texts: dict[str, list[str]] = {}

    def client(tiny: Tiny, back: bool) -> None:
        texts[tiny.name] = [push.communicate(timeout=300)[0] for push in push_often(tiny, pushes, back)]

    def all_clients() -> None:
        clients = [threading.Thread(target=client, args=(tiny, n % 2 == 1)) for n, tiny in enumerate(apps)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        time.sleep(0.5)  # the last worker's last steps

    effects = apps[0].record(all_clients)

    for number, tiny in enumerate(apps):
        wanted = "1" if number % 2 else str(pushes - 1)
        assert tiny.get() == wanted, texts[tiny.name]
        history = tiny.site.history(tiny.name)
        assert len(history) == pushes
        assert {d["status"] for d in history} <= {"succeeded", "superseded", "unchanged"}
        assert next(d for d in history if d["status"] == "succeeded")["version"] == wanted
        assert tiny.containers() == {tiny.container: "running"}
        assert all("is live" in text or "superseded" in text or "already runs" in text for text in texts[tiny.name])
    assert list((apps[0].site.home / "spool").iterdir()) == []

    builds = spans([(pid, at, what) for effect, pid, at, what, _ in effects if effect == "engine.build"])
    assert len(builds) >= many
    assert most_at_once(builds) <= PARALLEL
    for tiny in apps:
        lives = spans([(pid, at, what) for effect, pid, at, what, app in effects if app == tiny.name and effect[:5] == "state"])
        by_process = {
            pid: (min(s for p, s, _ in lives if p == pid), max(e for p, _, e in lives if p == pid)) for pid, _, _ in lives
        }
        assert most_at_once([(pid, begin, end) for pid, (begin, end) in by_process.items()]) == 1


def spans(events: list[tuple[str, str, str]]) -> list[tuple[str, float, float]]:
    """Process, begin and end of each effect that ended."""
    begun: dict[str, list[float]] = {}
    found = []
    for process, at, what in events:
        if what == "begin":
            begun.setdefault(process, []).append(float(at))
        elif begun.get(process):
            found.append((process, begun[process].pop(), float(at)))
    return found


def most_at_once(found: list[tuple[str, float, float]]) -> int:
    """How many of these lasted at the same time at most."""
    changes = sorted(itertools.chain.from_iterable([(begin, 1), (end, -1)] for _, begin, end in found))
    return max(itertools.accumulate(change for _, change in changes))
