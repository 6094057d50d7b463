"""`gitdeploy stop` takes an app out of service for good, `gitdeploy start` and the next deployment bring it back."""

from __future__ import annotations

import json

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.images import BaseImages
from tests.support.params import sample


@pytest.mark.parametrize("strategy", sample(["recreate", "rolling"], "rolling"))
def test_an_app_that_is_stopped(
    app: Deployable, docker_client: docker.DockerClient, base_images: BaseImages, strategy: str
) -> None:
    site = app.site
    site.configure(
        f'strategy = "{strategy}"\nreplicas = {1 + (strategy == "rolling")}\nrouter = {{ image = "{base_images.haproxy}" }}\n'
    )

    def policies() -> set[str]:
        own = docker_client.containers.list(all=True, filters={"label": f"gitdeploy.app={app.name}"})
        return {container.attrs["HostConfig"]["RestartPolicy"]["Name"] for container in own}

    app.clone.release("1")
    assert "1 is live" in app.clone.push(app.remote).text
    assert policies() == {"always"}
    assert f"gitdeploy start {app.name}" in site.run("stop", app.name).stdout
    with pytest.raises(OSError):
        app.get()
    assert policies() == {"no"}  # it would come back with the engine
    shown = site.run("status", app.name).stdout
    assert "stopped" in shown
    assert f"gitdeploy start {app.name} brings it back" in shown
    (fact,) = json.loads(site.run("status", app.name, "--json").stdout)
    assert (fact["runs"], fact["stopped_since"] > 0) == (False, True)
    assert "1 is out of service (gitdeploy stop)" in site.run("doctor", check=None).stdout

    assert f"{app.name} 1 runs" in site.run("start", app.name).stdout
    assert app.get() == "dev-app 1"
    assert policies() == {"always"}
    (fact,) = json.loads(site.run("status", app.name, "--json").stdout)
    assert (fact["runs"], fact["stopped_since"]) == (True, None)

    site.run("stop", app.name)
    app.clone.release("2")
    assert "2 is live" in app.clone.push(app.remote).text
    assert app.get() == "dev-app 2"
    assert policies() == {"always"}
    (fact,) = json.loads(site.run("status", app.name, "--json").stdout)
    assert (fact["runs"], fact["stopped_since"]) == (True, None)


def test_what_was_never_live_cannot_be_stopped(app: Deployable) -> None:
    assert "nothing of" in app.site.run("stop", app.name, check=2).stderr
    assert "was ever live" in app.site.run("start", app.name, check=2).stderr
