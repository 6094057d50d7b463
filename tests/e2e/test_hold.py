"""blue-green's `hold`: the pusher is let go at once, the worker stays and removes the old release when its time is over."""

from __future__ import annotations

import sqlite3
import subprocess

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.images import BaseImages
from tests.support.net import wait_until


@pytest.fixture
def held(app: Deployable, base_images: BaseImages) -> Deployable:
    """An app with 0.0.2 live and 0.0.1 held."""
    app.site.configure(f'strategy = "blue-green"\nhold = "1h"\nrouter = {{ image = "{base_images.haproxy}" }}\n')
    for version in ("0.0.1", "0.0.2"):
        app.clone.release(version)
        push = app.clone.push(app.remote)
        assert f"{version} is live" in push.text
    assert "0.0.1 is kept for 3600 s" in push.text
    return app


def versions(app: Deployable, client: docker.DockerClient) -> set[str]:
    found = client.containers.list(filters={"label": [f"gitdeploy.app={app.name}", "gitdeploy.role=app"]}, ignore_removed=True)
    return {container.labels["gitdeploy.version"] for container in found}


def test_a_rollback_in_that_time_starts_nothing(held: Deployable, docker_client: docker.DockerClient) -> None:
    assert versions(held, docker_client) == {"0.0.1", "0.0.2"}
    done = held.site.run("rollback", held.name)
    assert "the containers of 0.0.1 still run" in done.stdout
    assert held.get() == "dev-app 0.0.1"
    wait_until(lambda: versions(held, docker_client) == {"0.0.1"}, 10, "0.0.2 to go")


def test_a_worker_that_was_killed_is_followed_by_one_that_removes_it(
    held: Deployable, docker_client: docker.DockerClient
) -> None:
    held.site.kill_workers()
    with sqlite3.connect(held.site.home / "state.db") as db:  # the hour is over
        assert db.execute("UPDATE deployments SET config = replace(config, '\"hold\": 3600.0', '\"hold\": 1.0')").rowcount == 2
    worker = subprocess.Popen([held.site.home / "bin" / "gitdeploy", "worker", "--watch"])  # ended by the fixture
    wait_until(lambda: versions(held, docker_client) == {"0.0.2"}, 60, "0.0.1 to go")
    assert held.get() == "dev-app 0.0.2"
    worker.terminate()
    worker.wait()
