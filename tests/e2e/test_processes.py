"""Processes from the person's side: a push brings all of them, `status` tells of them, `scale` changes how many there are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import docker
import pytest

from tests.e2e.conftest import Deployable

PROCFILE = "web: false\nworker: trap 'exit 0' TERM; while :; do sleep 0.05; done\n"
CONFIG = """
strategy = "recreate"
processes.worker = { stop_timeout = "1s", health.min_uptime = "300ms" }
"""


def running(app: Deployable, client: docker.DockerClient) -> Counter[tuple[str, str]]:
    """How many containers run of each process and version."""
    found = client.containers.list(filters={"label": f"gitdeploy.app={app.name}"})
    return Counter((c.labels.get("gitdeploy.process", "web"), c.labels["gitdeploy.version"]) for c in found)


@pytest.fixture
def shop(app: Deployable, docker_client: docker.DockerClient) -> Deployable:
    """The app with a worker whose command a Procfile names, 1 live."""
    app.site.configure(CONFIG)
    app.clone.release("1", {"Procfile": PROCFILE})
    pushed = app.clone.push(app.remote)
    assert "1 is live" in pushed.text, pushed.text
    assert "worker: starting" in pushed.text
    assert running(app, docker_client) == {("web", "1"): 1, ("worker", "1"): 1}
    assert app.get() == "dev-app 1"
    return app


def test_processes_in_status_scale_deployments_and_rollback(shop: Deployable, docker_client: docker.DockerClient) -> None:
    site, name = shop.site, shop.name
    before = {c.id for c in docker_client.containers.list(filters={"label": f"gitdeploy.app={name}"})}
    assert "worker   3 of 3  scale" in site.run("scale", name, "worker=3").stdout
    assert running(shop, docker_client) == {("web", "1"): 1, ("worker", "1"): 3}
    assert before <= {c.id for c in docker_client.containers.list(filters={"label": f"gitdeploy.app={name}"})}
    (fact,) = json.loads(site.run("status", name, "--json").stdout)
    assert fact["processes"] == {"web": {"running": 1, "wanted": 1}, "worker": {"running": 3, "wanted": 3}}
    assert fact["runs"] is True

    assert site.run("exec", f"{name}/worker", "sh", "-c", "echo of $PPID").stdout.strip() == "of 0"
    assert site.run("run", f"{name}/worker", "echo", "beside").stdout == "beside\n"
    assert "its processes: web, worker" in site.run("exec", f"{name}/wroker", "true", check=2).stderr

    site.run("scale", name, "worker=2")
    shop.clone.release("2")
    pushed = shop.clone.push(shop.remote).text
    assert "2 is live" in pushed
    assert "worker: 2 replicas in place of 1 (gitdeploy scale)" in pushed
    assert running(shop, docker_client) == {("web", "2"): 1, ("worker", "2"): 2}
    assert f"{name}: web 1 of 1, worker 2 of 2" in site.run("status", name).stdout

    site.run("scale", name, "worker=0")
    assert running(shop, docker_client) == {("web", "2"): 1}
    assert json.loads(site.run("status", name, "--json").stdout)[0]["runs"] is True
    assert "1 is live" in site.run("rollback", name, "1").stdout
    assert running(shop, docker_client) == {("web", "1"): 1}
    site.run("scale", name, "worker=1")
    assert running(shop, docker_client) == {("web", "1"): 1, ("worker", "1"): 1}
    assert shop.get() == "dev-app 1"
    assert "as the configuration says, from the next deployment on" in site.run("scale", name, "worker=config").stdout
    assert "worker   1 of 1  config" in site.run("scale", name).stdout
    asked = [json.loads(line) for line in Path(site.home, "audit.jsonl").read_text().splitlines()]
    assert [entry["reason"] for entry in asked if entry["how"] == "scale"][:2] == ["worker=3", "worker=2"]


def test_what_cannot_be_scaled(app: Deployable, shop: Deployable) -> None:
    site, name = app.site, app.name
    wrong = site.run("scale", name, "wroker=2", check=2).stderr
    assert "did you mean worker?" in wrong
    site.run("stop", name)
    assert "is out of service" in site.run("scale", name, "worker=2", check=2).stderr


def test_nothing_live_cannot_be_scaled(app: Deployable) -> None:
    assert "nothing of" in app.site.run("scale", app.name, "web=1", check=2).stderr


def test_a_worker_that_fails_leaves_what_serves(shop: Deployable, docker_client: docker.DockerClient) -> None:
    shop.clone.release("2", {"Procfile": "worker: true\n"})
    pushed = shop.clone.push(shop.remote)
    assert "FAILED at Deploy: process worker: the new container exited" in pushed.text
    assert "1 still serves" in pushed.text
    assert running(shop, docker_client) == {("web", "1"): 1, ("worker", "1"): 1}
    shop.clone.release("3", {"Procfile": None})
    assert "processes.worker: expected a command" in shop.clone.push(shop.remote).text
