"""Two gitdeploys on one engine, as after a move from one Git server to another: neither takes what is the other's."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from gitdeploy.releases.release import INSTALLATION
from tests.e2e.conftest import Deployable
from tests.support import gogs
from tests.support.installed import Installed, install
from tests.support.net import get


@pytest.fixture
def second(app: Deployable, tmp_path: Path, engine_url: str) -> Installed:
    """Another Git server with the same repository, and a gitdeploy of its own."""
    made = gogs.create(tmp_path / "second")
    site = install(made, {"DOCKER_HOST": engine_url})
    made.create_repository(app.name)
    return site


def test_the_other_ones_app_is_left_alone_until_it_is_taken_over(
    running: Deployable, second: Installed, docker_client: docker.DockerClient
) -> None:
    app = running
    before = {c.id: c.labels[INSTALLATION] for c in docker_client.containers.list(filters={"name": app.container})}
    port = app.url.rpartition(":")[2]
    options = ("--image", app.image, "--container", app.container, "--publish", f"127.0.0.1:{port}:80")
    second.run("enrol", app.name, *options)
    app.clone.release("2.0.0")
    told = app.clone.push(second.gogs.local(app.name)).text
    assert f"the container name {app.container} is taken by {app.name} of another gitdeploy (" in told
    assert f"gitdeploy enrol {app.name} --take-over" in told
    second.run("prune", app.name)
    assert get(app.url).strip() == "dev-app 1.0.0"
    assert {c.id: c.labels[INSTALLATION] for c in docker_client.containers.list(filters={"name": app.container})} == before

    other = second.run("enrol", app.name, "--take-over")
    assert f"{app.name}: what is there of {next(iter(before.values()))} is its own from now on" in other.stdout
    app.clone.release("2.0.1")
    assert "2.0.1 is live" in app.clone.push(second.gogs.local(app.name)).text
    assert get(app.url).strip() == "dev-app 2.0.1"
    mine = {c.labels[INSTALLATION] for c in docker_client.containers.list(filters={"label": f"gitdeploy.app={app.name}"})}
    assert mine == {(second.home / "installation-id").read_text().strip()}


def test_there_is_nothing_to_take_over(second: Installed, app: Deployable) -> None:
    done = second.run("enrol", app.name, "--image", app.image, "--take-over", check=2)
    assert f"no other gitdeploy has anything of {app.name} on this engine" in done.stderr
