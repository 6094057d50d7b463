"""Tasks in whole deployments: each at its place, with what the release has, and with what its failure means there."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from tests.e2e.conftest import BUSYBOX_DOCKERFILE, Deployable
from tests.support.net import wait_until

TREE = """\
env = { GREETING = "it's $HOME" }
health = { interval = "50ms" }

[tasks.unit]
when = "after-build"
command = "test ! -e fail-unit"

[tasks.warm]
when = "after-switch"
command = ["sh", "-c", "echo warm; test ! -e fail-warm"]
"""


@pytest.fixture
def shop(app: Deployable, tmp_path: Path) -> Deployable:
    """An app with a task of each kind, which fails where the tree has a file that says so; nobody has pushed it yet."""
    (tmp_path / "app.env").write_text("TOKEN=canary-of-the-env-file\n")
    (tmp_path / "app.env").chmod(0o600)
    script = 'echo \\"migrating $TOKEN $GREETING\\"; ls $(cat hold 2>/dev/null) >&2; test ! -e fail-migrate'
    app.site.configure(f'\nenv_file = "{tmp_path}/app.env"\n')
    app.site.configure(f'\n[apps."{app.name}".tasks.migrate]\ncommand = ["sh", "-c", "{script}"]\n')
    (app.clone.path / "Dockerfile").write_text(BUSYBOX_DOCKERFILE)
    (app.clone.path / "gitdeploy.toml").write_text(TREE)
    return app


def task_containers(client: docker.DockerClient, app: Deployable) -> list[str]:
    wanted = {"label": ["gitdeploy.task", f"gitdeploy.app={app.name}"]}
    return [str(container.name) for container in client.containers.list(all=True, filters=wanted, ignore_removed=True)]


def test_each_task_runs_at_its_place(shop: Deployable, docker_client: docker.DockerClient) -> None:
    def push(version: str, **files: str | None) -> str:
        shop.clone.release(version, {name.replace("_", "-"): content for name, content in files.items()})
        return shop.clone.push(shop.remote).text

    text = push("1.0.0")
    assert "1.0.0 is live at" in text
    stages = ["Checkout", "Read VERSION", "Build", "Task unit", "Push", "Task migrate", "Deploy", "Task warm"]
    assert [stage["name"] for stage in shop.site.history(shop.name)[0]["stages"]] == stages
    assert "    migrating *** it's $HOME" in text
    assert text.index("==> Task migrate") < text.index("migrating") < text.index("Task migrate: ") < text.index("==> Deploy")

    text = push("1.0.1", fail_unit="")
    assert "1.0.1 FAILED at Task unit: task unit failed: exit code 1" in text
    assert "==> Push" not in text
    assert shop.get() == "1.0.0"

    text = push("1.0.2", fail_unit=None, fail_migrate="")
    assert "1.0.2 FAILED at Task migrate: task migrate failed: exit code 1" in text
    assert "    | migrating *** it's $HOME" in text
    assert "==> Deploy" not in text
    assert shop.get() == "1.0.0"

    text = push("1.0.3", fail_migrate=None, fail_warm="")
    assert "1.0.3 is live at" in text
    assert "warning: task warm failed: exit code 1" in text
    newest = shop.site.history(shop.name)[0]
    assert (newest["status"], newest["error"]) == ("succeeded", "task warm failed: exit code 1")
    assert (newest["stages"][-1]["name"], newest["stages"][-1]["status"]) == ("Task warm", "failed")
    assert "task warm failed: exit code 1" in shop.site.run("history", shop.name).stdout

    text = shop.site.run("rollback", shop.name).stdout
    ran = "migrate (1.0.2, deployment 3, failed), migrate (1.0.3, deployment 4)"
    assert f"migrations that ran since: {ran}" in text
    assert "==> Task" not in text
    assert shop.get() == "1.0.0"
    assert task_containers(docker_client, shop) == []


def test_cancel_ends_a_task(shop: Deployable, docker_client: docker.DockerClient) -> None:
    shop.site.configure(f'\n[apps."{shop.name}".tasks.slow]\ncommand = "sleep 100"\nrun = {{ stop_signal = "SIGKILL" }}\n')
    shop.clone.release("1.0.0")
    push = shop.clone.start_push(shop.remote)
    wait_until(lambda: any(name.endswith(".1.slow") for name in task_containers(docker_client, shop)), 60, "the task")
    shop.site.run("cancel", shop.name)
    text, _ = push.communicate(timeout=60)
    assert "was cancelled at Task slow: `gitdeploy cancel` asked for it" in text
    assert task_containers(docker_client, shop) == []
    assert shop.site.history(shop.name)[0]["status"] == "cancelled"


def test_no_test_runs_before_the_image_was_judged(shop: Deployable, tmp_path: Path) -> None:
    judge = tmp_path / "judge"
    judge.write_text(f'#!/bin/sh\necho "$1" >{tmp_path}/asked\n[ ! -e {tmp_path}/refuse ]\n')
    judge.chmod(0o755)
    config = shop.site.home / "config.toml"
    config.write_text(config.read_text().replace("\nenv_file", f'\nverify = ["{judge}", "{{image}}"]\nenv_file'))
    (tmp_path / "refuse").touch()
    shop.clone.release("1.0.0")
    text = shop.clone.push(shop.remote).text
    assert "FAILED at Verify" in text
    assert "==> Task" not in text
    assert "==> Push" not in text
    (tmp_path / "refuse").unlink()
    shop.clone.release("1.0.1")
    text = shop.clone.push(shop.remote).text
    assert "1.0.1 is live at" in text
    assert text.index("==> Verify") < text.index("==> Task unit") < text.index("==> Push") < text.index("==> Task migrate")
    assert (tmp_path / "asked").read_text().startswith("sha256:")
