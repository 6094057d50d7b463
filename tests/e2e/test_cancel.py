"""A build under way is stopped by `gitdeploy cancel`, a stop signal and a newer push, and nothing of it is left anywhere."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from gitdeploy.push import PushRecord, RefUpdate, render_record
from gitdeploy.spool import new_name
from tests.e2e.conftest import Deployable
from tests.support.builder import running
from tests.support.net import wait_until

QUICK = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nCMD ["python3", "app.py"]\n'


@dataclass(frozen=True)
class Building:
    """An app whose first version is being built, in a step that does not end.

    Attributes:
        mark: an argument of that step's process.
        told: waits for the push, returns what the pusher read.
        left: what the engine has of builds: ids of containers, and how many connections.
    """

    app: Deployable
    mark: str
    told: Callable[[], str]
    left: Callable[[], tuple[set[str], int]]
    before: tuple[set[str], int]

    def gone(self) -> bool:
        """Whether neither the step nor the worker nor anything else of the build is there."""
        if running(self.mark) or workers(self.app):
            return False
        (containers, connections), (had_containers, had_connections) = self.left(), self.before
        return containers == had_containers and connections <= had_connections


def connections(url: str) -> int:
    """How many connections the engine has, by its socket: a session is one, and so is a build."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(f" {url.removeprefix('unix://')}") and line.split()[5] == "03" for line in lines)


def workers(app: Deployable) -> list[int]:
    """Ids of the processes of workers, supervisors among them, of the app's installation."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            if b"worker\0--once" in command and f"GITDEPLOY_HOME={app.site.home}\0".encode() in environment:
                found.append(int(entry.name))
    return found


@pytest.fixture(params=["buildkit", "classic"])
def building(app: Deployable, request: pytest.FixtureRequest, docker_client: docker.DockerClient, engine_url: str) -> Building:
    app.site.configure(f'on_new_push = "cancel"\nbuild = {{ engine = "{request.param}" }}\n')

    def left() -> tuple[set[str], int]:
        return {str(c.id) for c in docker_client.containers.list(all=True)}, connections(engine_url)

    before = left()
    mark = f"{uuid.uuid4().int % 10**8 + 10**8}"
    app.clone.release("1", {"Dockerfile": f"FROM gitdeploy-test/python:1\nRUN sleep {mark}\n"})
    push = app.clone.start_push(app.remote)
    wait_until(lambda: running(mark), 60, "the build step")
    return Building(app, mark, lambda: push.communicate(timeout=60)[0], left, before)


def test_by_the_command(building: Building) -> None:
    app = building.app
    assert "cancelled" in app.site.run("cancel", app.name).stdout
    assert not running(building.mark)
    assert "was cancelled at Build" in building.told()
    wait_until(building.gone, 30, "the end of everything of the build")
    assert [d["status"] for d in app.site.history(app.name)] == ["cancelled"]


def test_by_a_newer_push(building: Building) -> None:
    app = building.app
    app.clone.release("2", {"Dockerfile": QUICK})
    second = app.clone.push(app.remote)
    assert "2 is live" in second.text
    assert not running(building.mark)
    assert "newer push" in building.told()
    assert [(d["version"], d["status"]) for d in app.site.history(app.name)] == [("2", "succeeded"), ("1", "superseded")]


def test_by_a_stop_signal_and_the_push_is_kept(building: Building) -> None:
    app = building.app
    for worker in workers(app):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGTERM)
    assert "kept and done when it runs again" in building.told()
    wait_until(building.gone, 30, "the end of everything of the build")
    assert len(list((app.site.home / "spool").glob("*.push"))) == 1
    app.clone.release("2", {"Dockerfile": QUICK})
    assert "2 is live" in app.clone.push(app.remote).text


def test_a_push_that_is_told_twice_does_not_cancel_itself(app: Deployable) -> None:
    app.site.configure('on_new_push = "cancel"\n')
    mark = f"2.{uuid.uuid4().int % 10**8:08}"
    commit = app.clone.release("1", {"Dockerfile": f"{QUICK}RUN sleep {mark}\n"})
    push = app.clone.start_push(app.remote)
    wait_until(lambda: running(mark), 60, "the build step")
    name = new_name(time.time())
    ref = RefUpdate("0" * 40, commit, "refs/heads/main")
    again = render_record(PushRecord(name, app.name, str(app.site.gogs.repository(app.name)), (ref,), trigger="move"))
    spool = app.site.home / "spool"
    (spool / f"{name}.tmp").write_bytes(again)
    (spool / f"{name}.tmp").rename(spool / f"{name}.push")
    assert "1 is live" in push.communicate(timeout=60)[0]
    wait_until(lambda: not list(spool.glob("*.push")), 30, "the second record's end")
    assert [d["status"] for d in app.site.history(app.name)] == ["succeeded"]
