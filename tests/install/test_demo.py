"""install.sh --demo, as a new user runs it, on the engine of the tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import docker

CHECKOUT = Path(__file__).parents[2]


def test_two_pushes_and_nothing_left(wheels: Path, engine_url: str, docker_client: docker.DockerClient, tmp_path: Path) -> None:
    before = {image.id for image in docker_client.images.list(all=True)}
    environ = {**os.environ, "DOCKER_HOST": engine_url, "TMPDIR": str(tmp_path)}
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    done = subprocess.run(
        [CHECKOUT / "install.sh", "--demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        env={**environ, **pip},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for version in ("0.0.1", "0.0.2"):
        assert f"remote: gitdeploy-demo/dev-app {version} is live at" in done.stdout + done.stderr
        assert f"Hello from dev-app {version}\n" in done.stdout
    tags = done.stdout.partition('"tags":')[2].partition("}")[0]
    assert all(f'"{tag}"' in tags for tag in ("0.0.1", "0.0.2", "latest"))
    assert list(tmp_path.iterdir()) == []
    assert docker_client.containers.list(all=True, filters={"name": "gitdeploy-demo"}) == []
    tagged = {tag for image in docker_client.images.list() if image.id not in before for tag in image.tags}
    assert not any("gitdeploy-demo" in tag for tag in tagged)
