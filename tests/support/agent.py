"""The agent's image, built from this checkout on the tests' Python image, and agents that run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.models.containers
import pip

from tests.support.gogs import Gogs
from tests.support.net import wait_until

CHECKOUT = Path(__file__).parents[2]
BASE = "gitdeploy-test/pip:1"
IMAGE = "gitdeploy-test/agent:1"
BASE_DOCKERFILE = b"FROM gitdeploy-test/python:1\nCOPY pip /usr/lib/python3/dist-packages/pip\nCOPY lib /lib\n"

LIBRARIES = {"libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libm.so.6"}


def build_base(client: docker.DockerClient) -> None:
    """Makes the image that the agent's is built on: the tests' Python with this interpreter's pip.

    Any image with glibc has the libraries that cryptography needs; wheels for musl bring their own.
    """
    files = subprocess.run(["dpkg", "-L", "libgcc-s1", "libc6"], check=True, capture_output=True, text=True).stdout.split()
    libraries = {path.name: path for path in map(Path, files) if path.name in LIBRARIES}
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        tar.add(Path(pip.__file__).parent, "pip")
        for name, path in libraries.items():
            tar.add(path.resolve(), f"lib/{name}")
        _add(tar, "Dockerfile", BASE_DOCKERFILE)
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=BASE, rm=True)


def build(client: docker.DockerClient, wheels: Path) -> None:
    """Builds the agent's image without any registry or package index."""
    command = ["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    names = subprocess.run(
        [*command, "pyproject.toml", "hooks", "gitdeploy"], check=True, capture_output=True, text=True
    ).stdout
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name in filter(None, names.split("\0")):
            if (CHECKOUT / name).exists():
                tar.add(CHECKOUT / name, name)
        tar.add(wheels, "wheels")
    context.seek(0)
    client.images.build(
        fileobj=context,
        custom_context=True,
        dockerfile="gitdeploy/agent/Dockerfile",
        tag=IMAGE,
        rm=True,
        buildargs={"BASE": BASE, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/src"},
    )


def install(engine_url: str, wheels: Path, *options: str, check: int = 0) -> str:
    """Runs install.sh --mode agent with these options, offline; its exit status must be `check`. Returns all its output."""
    script = CHECKOUT / "gitdeploy/agent/install.sh"
    offline = ["--base", BASE, "--wheels", str(wheels)] if "--uninstall" not in options else []
    done = subprocess.run(
        ["sh", script, "--mode", "agent", *options, *offline],
        check=False,
        env={**os.environ, "DOCKER_HOST": engine_url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert done.returncode == check, done.stdout
    return done.stdout


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


@dataclass(frozen=True)
class Agent:
    """A running agent.

    Attributes:
        container: its container.
        gogs: the data directory that it serves.
    """

    container: docker.models.containers.Container
    gogs: Gogs

    @property
    def spool(self) -> Path:
        """The spool, as this machine sees it."""
        return self.gogs.data / "gitdeploy/spool"

    def run(self, *arguments: str, check: int | None = 0) -> str:
        """`docker exec … gitdeploy`; its exit status must be `check`, unless that is None. Returns its standard output."""
        return self._execute(["gitdeploy", *arguments], check)

    def shell(self, script: str) -> str:
        """Runs a script in the container; returns its standard output."""
        return self._execute(["sh", "-c", script], 0)

    def _execute(self, command: list[str], check: int | None) -> str:
        done: Any = self.container.exec_run(command, demux=True)
        text, errors = ((stream or b"").decode() for stream in done.output)
        assert check is None or done.exit_code == check, f"{command}: exit {done.exit_code}\n{text}{errors}"
        return text

    def history(self, app: str) -> list[dict[str, Any]]:
        """The app's deployments, newest first."""
        found: list[dict[str, Any]] = json.loads(self.run("history", app, "--json"))
        return found

    def wait(self) -> None:
        """Waits until it listens for pushes."""
        wait_until((self.spool / "bell").exists, 30, f"the agent:\n{self.container.logs().decode()}")


@contextmanager
def agent(client: docker.DockerClient, engine_url: str, gogs: Gogs, volume: str = "") -> Iterator[Agent]:
    """Runs an agent until the context ends; `volume`: what is mounted at /data, "" for Gogs' directory at its own path."""
    socket = engine_url.removeprefix("unix://")
    container = client.containers.run(
        IMAGE,
        detach=True,
        init=True,
        network_mode="host",
        environment={} if volume else {"GITDEPLOY_DATA": str(gogs.data)},
        volumes={
            socket: {"bind": "/var/run/docker.sock", "mode": "rw"},
            volume or str(gogs.data): {"bind": "/data" if volume else str(gogs.data), "mode": "rw"},
        },
    )
    try:
        running = Agent(container, gogs)
        running.wait()
        yield running
    finally:
        container.remove(v=True, force=True)
