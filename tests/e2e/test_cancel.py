"""A build under way is stopped by `gitdeploy cancel`, a stop signal and a newer push, and nothing of it is left anywhere."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from gitdeploy.intake.push import PushRecord, RefUpdate, Trigger, render_record
from gitdeploy.intake.spool import new_name
from tests.e2e.conftest import Deployable
from tests.support.builder import running
from tests.support.net import wait_until
from tests.support.params import sample

QUICK = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nCMD ["python3", "app.py"]\n'


@dataclass(frozen=True)
class Building:
    """An app whose first version is being built, in a step that does not end.

    Attributes:
        mark: an argument of that step's process.
        push: the `git push`, if there is a pusher.
        before: the containers and the number of connections that the engine had before.
    """

    app: Deployable
    mark: str
    push: subprocess.Popen[str] | None
    client: docker.DockerClient
    before: tuple[set[str], int]

    def told(self) -> str:
        """What the pusher read, up to the end."""
        assert self.push
        return self.push.communicate(timeout=60)[0]

    def wait_until_gone(self) -> None:
        """Waits until neither the step nor the worker nor anything else of the build is there."""
        wait_until(lambda: not workers(self.app), 30, "the end of the worker")
        assert not running(self.mark)
        containers, connections = left(self.client)
        assert containers == self.before[0]
        assert connections <= self.before[1]


def left(client: docker.DockerClient) -> tuple[set[str], int]:
    """Ids of the engine's containers, and how many connections it has, by its socket: a session is one, and so is a build."""
    containers = {str(container.id) for container in client.containers.list(all=True)}
    socket = os.environ["DOCKER_HOST"].removeprefix("unix://")
    sockets = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return containers, sum(words[-1] == socket and words[5] == "03" for words in sockets)


def workers(app: Deployable) -> list[int]:
    """Ids of the processes of workers, supervisors among them, of the app's installation."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            if b"worker\0--once" in command and f"GITDEPLOY_HOME={app.site.home}\0".encode() in environment:
                found.append(int(entry.name))
    return found


def tell(app: Deployable, commit: str, trigger: Trigger) -> None:
    """Records that the commit is there, as the hook does, without a worker or a console."""
    name, spool = new_name(time.time()), app.site.home / "spool"
    ref = RefUpdate("0" * 40, commit, "refs/heads/main")
    record = PushRecord(name, app.name, str(app.site.gogs.repository(app.name)), (ref,), trigger=trigger)
    (spool / f"{name}.tmp").write_bytes(render_record(record))
    (spool / f"{name}.tmp").rename(spool / f"{name}.push")


Begin = Callable[[bool], Building]


@pytest.fixture(params=sample(["buildkit", "classic"], "buildkit"))
def begin(app: Deployable, request: pytest.FixtureRequest, docker_client: docker.DockerClient) -> Begin:
    """Begins to deploy the first version; takes whether there is a pusher."""
    app.site.configure(f'on_new_push = "cancel"\nbuild = {{ engine = "{request.param}" }}\n')

    def begin(pusher: bool) -> Building:
        before = left(docker_client)
        mark = f"{uuid.uuid4().int % 10**8 + 10**8}"
        commit = app.clone.release("1", {"Dockerfile": f"FROM gitdeploy-test/python:1\nRUN sleep {mark}\n"})
        push = None
        if pusher:
            push = app.clone.start_push(app.remote)
        else:
            app.clone.push(app.remote, "HEAD:refs/heads/aside")
            app.clone.git("-C", app.remote.url, "update-ref", "refs/heads/main", commit)
        wait_until(lambda: running(mark), 60, "the build step")
        return Building(app, mark, push, docker_client, before)

    return begin


def test_by_the_command(begin: Begin) -> None:
    building = begin(True)
    app = building.app
    assert "cancelled" in app.site.run("cancel", app.name).stdout
    building.wait_until_gone()
    assert "was cancelled at Build" in building.told()
    assert [d["status"] for d in app.site.history(app.name)] == ["cancelled"]


def test_by_a_newer_push(begin: Begin) -> None:
    building = begin(True)
    app = building.app
    app.clone.release("2", {"Dockerfile": QUICK})
    assert "2 is live" in app.clone.push(app.remote).text
    assert not running(building.mark)
    assert "was cancelled at Build: a newer push came" in building.told()
    assert [(d["version"], d["status"]) for d in app.site.history(app.name)] == [("2", "succeeded"), ("1", "superseded")]


def test_by_a_stop_signal_which_keeps_the_push(begin: Begin) -> None:
    building = begin(False)
    app = building.app
    for worker in workers(app):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGTERM)
    building.wait_until_gone()
    assert "kept and done when it runs again" in app.site.run("logs", app.name).stdout
    assert len(list((app.site.home / "spool").glob("*.push"))) == 1
    app.clone.release("2", {"Dockerfile": QUICK})
    assert "2 is live" in app.clone.push(app.remote).text


def test_a_push_that_is_told_twice_does_not_cancel_itself(app: Deployable) -> None:
    app.site.configure('on_new_push = "cancel"\n')
    mark = f"2.{uuid.uuid4().int % 10**8:08}"
    commit = app.clone.release("1", {"Dockerfile": f"{QUICK}RUN sleep {mark}\n"})
    push = app.clone.start_push(app.remote)
    wait_until(lambda: running(mark), 60, "the build step")
    tell(app, commit, "move")
    assert "1 is live" in push.communicate(timeout=60)[0]
    wait_until(lambda: not list((app.site.home / "spool").glob("*.push")), 30, "the second record's end")
    assert [d["status"] for d in app.site.history(app.name)] == ["succeeded"]
