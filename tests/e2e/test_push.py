"""A push deploys: over every transport, from the first version on, and the pusher reads how it went."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.gogs import Remote
from tests.support.net import wait_until
from tests.support.params import sample
from tests.support.prober import Prober
from tests.support.registry import Registry


def test_two_pushes_over_each_transport(
    app: Deployable, transport: Callable[[str], Remote], docker_client: docker.DockerClient, registry: Registry
) -> None:
    remote = transport(app.name)
    app.clone.release("0.0.1")
    first = app.clone.push(remote)
    assert first.code == 0
    assert "0.0.1 is live at" in first.text, first.text
    assert app.get() == "dev-app 0.0.1"
    commit = app.clone.release("0.0.2")
    second = app.clone.push(remote)
    assert f"{app.name} 0.0.2 is live at http://127.0.0.1:" in second.text
    for stage in ("Checkout", "Read VERSION", "Build", "Push", "Deploy"):
        assert f"remote: ==> {stage}" in second.text
    assert app.get() == "dev-app 0.0.2"
    container = docker_client.containers.get(app.container)
    assert container.labels["gitdeploy.version"] == "0.0.2"
    assert container.labels["gitdeploy.commit"] == commit
    image = docker_client.images.get(f"{app.image}:0.0.2")
    assert image.labels["org.opencontainers.image.revision"] == commit
    assert image.labels["org.opencontainers.image.version"] == "0.0.2"
    assert sorted(registry.tags(app.image.partition("/")[2])) == ["0.0.1", "0.0.2", "latest"]
    assert len(docker_client.containers.list(all=True, filters={"label": f"gitdeploy.app={app.name}"})) == 1
    assert [d["status"] for d in app.site.history(app.name)] == ["succeeded", "succeeded"]
    assert list((app.site.home / "spool").iterdir()) == []


def test_a_branch_that_is_not_deployed_costs_and_says_nothing(app: Deployable) -> None:
    app.clone.release("0.0.1")
    push = app.clone.push(app.remote, "HEAD:refs/heads/feature")
    assert push.code == 0
    assert "remote:" not in push.text
    assert app.site.history(app.name) == []


def test_everything_is_recorded_and_can_be_looked_at(app: Deployable) -> None:
    app.clone.release("1.0.0")
    app.clone.push(app.remote)
    (deployment,) = app.site.history(app.name)
    assert (deployment["version"], deployment["pusher"], deployment["ref"]) == ("1.0.0", "alice", "refs/heads/main")
    names = [stage["name"] for stage in deployment["stages"]]
    assert names[:3] == ["Checkout", "Read VERSION", "Build"]
    assert sorted(names[3:]) == ["Deploy", "Push"]
    assert deployment["digest"].startswith("sha256:")
    assert "1.0.0" in app.site.run("status").stdout
    assert "==> Build" in app.site.run("logs", app.name).stdout
    assert "is live at" in app.site.run("logs", "-f", app.name, str(deployment["id"])).stdout
    log = app.site.home / "logs" / app.name / "latest.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert str(log.readlink()) == f"{deployment['id']}.log"


def test_the_outage_that_is_told_is_the_outage_that_is_seen(app: Deployable) -> None:
    app.clone.release("1.0.0")
    app.clone.push(app.remote)
    app.clone.release("1.0.1")
    with Prober(app.url, timeout=0.3) as prober:  # engine 29 lets the first request to a port hang for a second
        push = app.clone.push(app.remote)
        assert "outage" in push.text
    (newest, _) = app.site.history(app.name)
    assert prober.findings.failed > 0
    assert set(prober.findings.bodies) == {"dev-app 1.0.0", "dev-app 1.0.1"}
    assert abs(newest["outage"] - prober.findings.longest_gap) < 0.5


def test_deploy_by_hand(app: Deployable) -> None:
    first = app.clone.release("1.0.0")
    app.clone.push(app.remote)
    app.clone.release("1.0.1")
    app.clone.push(app.remote)
    done = app.site.run("deploy", app.name, first[:10])
    assert "1.0.0 is live" in done.stdout
    assert "already built" in done.stdout
    assert app.get() == "dev-app 1.0.0"
    assert "1.0.1 is live" in app.site.run("deploy", app.name).stdout


def test_the_same_commit_is_deployed_once(app: Deployable) -> None:
    app.clone.release("1.0.0")
    app.clone.push(app.remote)
    app.site.configure('branch = ["main", "also"]\n')
    push = app.clone.push(app.remote, "HEAD:refs/heads/also")
    assert "already runs" in push.text
    assert [d["status"] for d in app.site.history(app.name)] == ["unchanged", "succeeded"]


def test_push_options(app: Deployable) -> None:
    app.clone.git("-C", str(app.site.gogs.repository(app.name)), "config", "receive.advertisePushOptions", "true")
    app.clone.release("1.0.0")
    assert "skip" in app.clone.push(app.remote, options=["gitdeploy.skip"]).text
    assert [d["status"] for d in app.site.history(app.name)] == ["unchanged"]
    app.clone.release("1.0.1")
    refused = app.clone.push(app.remote, options=["gitdeploy.stratgy=canary"])
    assert "gitdeploy.strategy" in refused.text  # the nearest known one
    assert app.site.history(app.name)[0]["status"] == "failed"


def test_newest_push_wins_and_the_others_are_told(app: Deployable) -> None:
    slow = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nRUN sleep 8\nCMD ["python3", "app.py"]\n'
    app.clone.release("1", {"Dockerfile": slow})
    pushes = [app.clone.start_push(app.remote)]
    wait_until(lambda: any(d["stage"] == "Build" for d in app.site.history(app.name)), 30, "the first build")
    for waiting, version in enumerate(("2", "3", "4"), 1):
        app.clone.release(version)
        pushes.append(app.clone.start_push(app.remote))
        wait_until(lambda n=waiting: len(list((app.site.home / "spool").glob("*.push"))) > n, 30, "the record")
    texts = [push.communicate(timeout=120)[0] for push in pushes]
    assert "1 is live" in texts[0]
    assert "yours is next" in texts[1]
    assert "superseded" in texts[1]
    assert "superseded" in texts[2]
    assert "4 is live" in texts[3]
    assert app.get() == "dev-app 4"
    assert [d["status"] for d in app.site.history(app.name)].count("superseded") == 2


@pytest.mark.parametrize("version", sample(["", "1.0.0+build", "../x", "-x", "x" * 200], "", "../x"))
def test_a_bad_version_is_refused_and_the_app_untouched(app: Deployable, version: str) -> None:
    app.clone.release("1.0.0")
    app.clone.push(app.remote)
    app.clone.release(version)
    push = app.clone.push(app.remote)
    assert push.code == 0
    assert "FAILED at Read VERSION" in push.text
    assert "1.0.0 still serves" in push.text
    assert "Traceback" not in push.text
    assert app.get() == "dev-app 1.0.0"


def test_gogs_secrets_do_not_reach_the_worker(app: Deployable) -> None:
    env = dict(app.remote.environ) | {"GOGS_DATABASE_PASSWORD": "sentinel-password"}
    app.clone.release(
        "1.0.0", {"Dockerfile": 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nCMD ["python3", "app.py"]\n'}
    )
    process = app.clone.start_push(Remote(app.remote.url, env))
    seen = b""
    while process.poll() is None:
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if b"worker\0--once" in (entry / "cmdline").read_bytes():
                    seen += (entry / "environ").read_bytes()
    assert b"GITDEPLOY_HOME" in seen
    assert b"sentinel-password" not in seen
    assert b"GOGS_REPO_OWNER_SALT_MD5" not in seen
    assert b"GIT_DIR" not in seen


def test_rollback_and_retention(app: Deployable, docker_client: docker.DockerClient) -> None:
    app.site.configure("retain = { releases = 2 }\n")
    for version in ("1", "2", "3"):
        app.clone.release(version)
        push = app.clone.push(app.remote)
    assert "==> Prune: freed 1 image" in push.text
    label: dict[str, str | list[str] | bool] = {"label": f"gitdeploy.app={app.name}"}
    tags = {tag for image in docker_client.images.list(filters=label) for tag in image.tags}
    assert {tag for tag in tags if tag.startswith(app.image)} == {f"{app.image}:{tag}" for tag in ("2", "3", "latest")}
    own = {tag.rpartition(":")[2].partition("-")[0] for tag in tags if tag.startswith(f"gitdeploy.local/{app.name}:")}
    assert own == {"2", "3"}
    assert len(tags) == 5
    back = app.site.run("rollback", app.name)
    assert "2 is live" in back.stdout
    assert app.get() == "dev-app 2"
    assert app.site.history(app.name)[0]["trigger"] == "rollback"
    assert "1" in app.site.run("rollback", app.name, "1", check=2).stderr
    assert "3 is live" in app.site.run("rollback", app.name, "3").stdout
    assert "nothing to free" in app.site.run("prune", app.name).stdout


def test_cancel(app: Deployable) -> None:
    slow = 'FROM gitdeploy-test/python:1\nRUN echo started; sleep 60\nCMD ["python3", "app.py"]\n'
    app.clone.release("1", {"Dockerfile": slow})
    push = app.clone.start_push(app.remote)
    wait_until(lambda: "started" in app.site.run("logs", app.name, check=None).stdout, 30, "the build step")
    assert "cancelled" in app.site.run("cancel", app.name).stdout
    assert "was cancelled at Build" in push.communicate(timeout=20)[0]
    assert "no deployment" in app.site.run("cancel", app.name, check=2).stderr
