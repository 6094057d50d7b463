"""An app goes on under another name: the container that runs, its history, its releases and the hook follow."""

from __future__ import annotations

import contextlib
import sqlite3

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support import guards
from tests.support.images import BaseImages
from tests.support.params import sample


@pytest.mark.parametrize("strategy", sample(["recreate", "rolling"], "rolling"))
def test_a_repository_that_was_renamed(
    running: Deployable, docker_client: docker.DockerClient, base_images: BaseImages, strategy: str
) -> None:
    app, site, new = running, running.site, f"{running.name}-new"
    site.configure(f'router = {{ image = "{base_images.haproxy}" }}\n')
    app.clone.release("1.1.0")
    assert "1.1.0 is live" in app.clone.push(app.remote, options=[f"gitdeploy.strategy={strategy}"]).text
    before = docker_client.containers.get(app.container).id
    site.gogs.rename_repository(app.name, new)
    refused = site.run("enrol", new, "--image", f"{app.image}-new", check=2)
    assert f"gitdeploy rename {app.name} {new}" in refused.stderr

    assert f"{app.name} is {new} now" in site.run("rename", app.name, new).stdout
    try:
        assert docker_client.containers.get(app.container).id == before
        assert app.get() == "dev-app 1.1.0"
        assert [d["version"] for d in site.history(new)] == ["1.1.0", "1.0.0"]
        assert f"{new}  1.1.0" in site.run("status", new).stdout
        assert "is live" in site.run("logs", new).stdout
        assert "there is no app" in site.run("history", app.name, check=2).stderr

        site.run("rollback", new)
        assert app.get() == "dev-app 1.0.0"
        app.clone.release("1.2.0")
        push = app.clone.push(site.gogs.local(new), options=[f"gitdeploy.strategy={strategy}"])
        assert f"{new} 1.2.0 is live" in push.text, push.text
        assert app.get() == "dev-app 1.2.0"
        assert docker_client.containers.list(all=True, filters={"label": f"gitdeploy.app={app.name}"}) == []
        assert {
            tag for image in docker_client.images.list() for tag in image.tags if f"gitdeploy.local/{app.name}:" in tag
        } == set()
        assert "error" not in site.run("doctor", check=None).stdout.replace("no error", "")
    finally:
        guards.remove_app(docker_client, new)


def test_the_old_name_stays_the_apps_own_as_long_as_something_bears_it(running: Deployable) -> None:
    app, site, new = running, running.site, f"{running.name}-new"
    site.run("rename", app.name, new)
    site.gogs.create_repository(f"{app.name}-2")
    again = site.run("enrol", app.name, "--repository", f"{app.name}-2", "--image", f"{app.image}-2", check=2)
    assert "gitdeploy enrol OWNER/APP --repository" in again.stderr
    site.run("rename", new, app.name)  # back again, with nothing left of it
    assert "formerly = [" in (site.home / "config.toml").read_text()
    app.clone.release("1.1.0")
    assert f"{app.name} 1.1.0 is live" in app.clone.push(app.remote).text


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("o/none", "o/new", "has no app o/none"),
        ("{app}", "{app}", "expected another name"),
        ("{app}", "../x", "expected another name"),
    ],
)
def test_what_cannot_be_renamed(running: Deployable, old: str, new: str, text: str) -> None:
    names = [name.format(app=running.name) for name in (old, new)]
    assert text in running.site.run("rename", *names, check=2).stderr


def test_a_rename_that_was_cut_off_goes_on(running: Deployable) -> None:
    """As if killed after config.toml was written: a push is told, and the same command does the rest."""
    app, site, new = running, running.site, f"{running.name}-new"
    config, conf = site.home / "config.toml", site.gogs.repository(app.name) / "gitdeploy.conf"
    with contextlib.closing(sqlite3.connect(site.home / "state.db")) as db:  # some of it may be in the file beside it
        state, hook = db.serialize(), conf.read_bytes()
    site.run("rename", app.name, new)
    assert f"app {new}" in conf.read_text()
    for leftover in site.home.glob("state.db-*"):
        leftover.unlink()
    (site.home / "state.db").write_bytes(state)
    conf.write_bytes(hook)
    assert "formerly" in config.read_text()
    app.clone.release("1.1.0")
    push = app.clone.push(app.remote)
    assert f"{app.name} is called {new} now" in push.text, push.text
    site.run("rename", app.name, new)
    assert [(d["version"], d["status"]) for d in site.history(new)] == [("", "failed"), ("1.0.0", "succeeded")]
    app.clone.release("1.2.0")
    assert f"{new} 1.2.0 is live" in app.clone.push(app.remote).text
    guards.remove_app(docker.DockerClient(site.environ["DOCKER_HOST"]), new)
