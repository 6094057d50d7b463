"""A Git server as Gogs' official images are: data at /data, user git (1000), a shell and git, no Python, no Docker socket."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker
from docker.models.containers import Container

from tests.support.gogs import STAND_IN, Gogs, Remote
from tests.support.images import gogs_root, shared_libraries

BINARY = Path("/app/gogs/gogs")
SEEN = Path("/data")


def build(client: docker.DockerClient, reference: str, binary: Path = STAND_IN, place: Path = BINARY) -> None:
    """Makes the image, with the stand-in for Gogs or a real server at its place."""
    repository, _, tag = reference.rpartition(":")
    settings = ["ENV GOGS_CUSTOM=/data/gogs HOME=/data/git USER=git", "USER git", "WORKDIR /app/gogs"]
    root = gogs_root(binary, shared_libraries(binary), str(place))
    client.api.import_image_from_data(root.tar(), repository=repository, tag=tag, changes=settings)


def start(
    client: docker.DockerClient,
    image: str,
    volume: str,
    command: Sequence[str] = ("sleep", "100000"),
    environ: Mapping[str, str] | None = None,
) -> Container:
    """Runs it with this volume, or directory, as its data."""
    mounts = {volume: {"bind": str(SEEN), "mode": "rw"}}
    return client.containers.run(
        image, list(command), detach=True, init=True, network_mode="host", volumes=mounts, environment=dict(environ or {})
    )


def remote(container: Container, gogs: Gogs, name: str, directory: Path) -> Remote:
    """Where to push "Owner/Name": what sshd would run in the container is run there by `docker exec`.

    `directory`: for the program that git calls in place of ssh.
    """
    serve = shlex.join([str(gogs.binary), "serv", "key-1", f"--config={gogs.app_ini}"])
    engine = shlex.quote(os.environ["DOCKER_HOST"])
    client = directory / "in-container"
    client.write_text(f'#!/bin/sh\nexec docker --host {engine} exec -i -e "SSH_ORIGINAL_COMMAND=$2" {container.id} {serve}\n')
    client.chmod(0o755)
    return Remote(f"git@gogs:{name}.git", {"GIT_SSH": str(client), "GIT_SSH_VARIANT": "simple"})


def inside(container: Container, script: str, environ: Mapping[str, str] | None = None) -> str:
    """Runs a script in the container as its user; returns all its output, raises AssertionError if it fails."""
    done = container.exec_run(["sh", "-euc", script], environment=dict(environ or {}))
    assert isinstance(done.output, bytes)
    text = done.output.decode(errors="replace")
    assert done.exit_code == 0, f"{script}: exit {done.exit_code}\n{text}"
    return text
