"""`verify` in a whole deployment: after the push, before anything of the new release exists."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.builder import running
from tests.support.net import wait_until


def mark() -> str:
    """Seconds for a `sleep` that no other test has."""
    return f"60.{uuid.uuid4().int % 10**9:09d}"


@pytest.fixture
def judge(tmp_path: Path) -> Callable[[str], None]:
    """Writes the script that judges; it notes what it was asked about in `asked`."""
    path = tmp_path / "judge"

    def write(text: str) -> None:
        path.write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/asked\n{text}\n')
        path.chmod(0o755)

    write("echo looks good")
    return write


def asked(path: Path) -> list[str]:
    return (path / "asked").read_text().splitlines()


def test_a_program_judges_each_release(
    app: Deployable, judge: Callable[[str], None], tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    (tmp_path / "app.env").write_text("TOKEN=canary-of-the-env-file\n")
    (tmp_path / "app.env").chmod(0o600)
    app.site.configure(
        f'\nverify = ["{tmp_path}/judge", "{{image}}"]\nverify_timeout = "2s"\nenv_file = "{tmp_path}/app.env"\n'
        'build.output = "full"\n'
    )
    judge("echo looks good canary-of-the-env-file")
    app.clone.release("1.0.0")
    text = app.clone.push(app.remote).text
    assert "==> Verify" in text
    assert "looks good ***" in text
    assert "judge let it pass" in text
    assert "1.0.0 is live at" in text
    (first,) = app.site.history(app.name)
    assert asked(tmp_path) == [f"{app.image}@{first['digest']}"]
    assert [stage["name"] for stage in first["stages"]][-3:] == ["Push", "Verify", "Deploy"]

    def refused(version: str, text: str, reason: str) -> None:
        judge(text)
        before = {str(c.id) for c in docker_client.containers.list(all=True)}
        app.clone.release(version)
        told = app.clone.push(app.remote).text
        assert "FAILED at Verify" in told
        assert reason in told
        assert app.get() == "dev-app 1.0.0"
        assert {str(c.id) for c in docker_client.containers.list(all=True)} == before, "nothing of it was made"

    refused("1.0.1", "echo CVE-2026-1; exit 1", "(exit code 1)")
    seconds = mark()
    refused("1.0.2", f"sleep {seconds}", "in 2 s (verify_timeout)")
    assert not running(seconds)
    count = len(asked(tmp_path))
    judge("echo fixed")
    assert "1.0.3 is live" in app.clone.push(app.remote, f"{app.clone.release('1.0.3')}:refs/heads/main").text
    assert len(asked(tmp_path)) == count + 1
    judge("exit 1")
    app.site.run("rollback", app.name)
    assert app.get() == "dev-app 1.0.0"
    assert len(asked(tmp_path)) == count + 1, "a rollback takes what was let pass before"


def test_cancel_ends_it(app: Deployable, judge: Callable[[str], None], tmp_path: Path) -> None:
    app.site.configure(f'\nverify = ["{tmp_path}/judge", "{{image}}"]\npush.enabled = false\n')
    seconds = mark()
    judge(f"sleep {seconds} & sleep {seconds}")
    app.clone.release("1.0.0")
    push = app.clone.start_push(app.remote)
    wait_until(lambda: running(seconds), 60, "the program")
    app.site.run("cancel", app.name)
    text, _ = push.communicate(timeout=60)
    assert "gitdeploy cancel" in text
    wait_until(lambda: not running(seconds), 10, "its end")
    (image,) = asked(tmp_path)
    assert image.startswith("sha256:"), "without a registry, it is the engine's id"
