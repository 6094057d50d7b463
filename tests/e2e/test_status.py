"""`status` and `doctor` say whether the app runs, and not only what was deployed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import docker

from tests.e2e.conftest import Deployable


def status(running: Deployable) -> dict[str, Any]:
    """What `status --json` says of the app."""
    (found,) = json.loads(running.site.run("status", running.name, "--json").stdout)
    return dict(found)


def test_an_app_that_is_stopped_is_not_said_to_run(running: Deployable, docker_client: docker.DockerClient) -> None:
    assert (status(running)["runs"], status(running)["condition"]) == (True, "")
    container = docker_client.containers.get(running.container)
    container.kill()
    found = status(running)
    assert (found["version"], found["runs"]) == ("1.0.0", False)
    assert found["condition"] == f"{running.container} has exited with code 137"
    table = running.site.run("status").stdout
    assert "NO" in table
    assert f"{running.name}: {running.container} has exited with code 137" in table
    doctor = running.site.run("doctor", check=3).stdout
    assert f"{running.name}: 1.0.0 is live, and {running.container} has exited with code 137" in doctor
    container.start()
    assert status(running)["runs"] is True
    assert f"{running.name}: 1.0.0 is live" not in running.site.run("doctor", check=None).stdout


def test_without_an_engine_nobody_knows(running: Deployable) -> None:
    site = replace(running.site, environ={**running.site.environ, "DOCKER_HOST": "unix:///nonexistent.sock"})
    (fact,) = json.loads(site.run("status", running.name, "--json").stdout)
    assert (fact["version"], fact["runs"]) == ("1.0.0", None)
    assert fact["condition"].startswith("nobody knows whether it runs: ")
