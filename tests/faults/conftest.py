"""Fixtures of the fault tests: tiny apps in an installation whose worker can be killed at any effect."""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.faults.faulty import Point
from tests.support import gogs, guards
from tests.support.apps import Push, SampleApp
from tests.support.images import BaseImages
from tests.support.installed import CHECKOUT, Installed, install
from tests.support.net import free_port

DOCKERFILE = """\
FROM gitdeploy-test/busybox:1
COPY VERSION /www/index.html
STOPSIGNAL SIGKILL
EXPOSE 80
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
"""
QUICK = '\nhealth = { interval = "50ms", start_period = "10s" }\n'


@dataclass(frozen=True)
class Tiny:
    """An enrolled app that answers with its VERSION.

    Attributes:
        name: "owner/repo".
        container: its container's name.
        page: where it says its VERSION.
        host: the name that it is asked by, "" for its address.
    """

    name: str
    container: str
    port: int
    remote: gogs.Remote
    clone: SampleApp
    site: Installed
    client: docker.DockerClient
    plan: Path
    page: str = "/"
    host: str = ""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}{self.page}"

    def get(self) -> str:
        """What it answers; "" for nothing."""
        asked = urllib.request.Request(self.url, headers={"Host": self.host} if self.host else {})
        with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=5) as answer:
            return str(answer.read().decode().strip())
        return ""

    def release(self, version: str, **files: str) -> str:
        """Commits a version; returns the commit id."""
        return self.clone.release(version, dict(files))

    def push(self, version: str = "", *refs: str, timeout: float = 60) -> Push:
        """Commits a version, if one is given, and pushes."""
        if version:
            self.release(version)
        return self.clone.push(self.remote, *refs, timeout=timeout)

    def kill_at(self, point: Point, victim: str, command: Sequence[str] = ()) -> None:
        """From now on, the victim is killed at this point, once; by this command, if it is "other"."""
        self.fired.unlink(missing_ok=True)
        plan = {"point": vars(point), "victim": victim, "fired": str(self.fired), "command": list(command)}
        self.plan.write_text(json.dumps(plan))

    def kill_no_more(self) -> None:
        """From now on, nothing is killed."""
        self.plan.unlink(missing_ok=True)

    @property
    def fired(self) -> Path:
        """Exists if the kill took place."""
        return self.plan.with_suffix(".fired")

    def effects(self, action: Callable[[], object]) -> Counter[str]:
        """Every effect of the worker while `action` ran, with how often it occurred."""
        return Counter(effect for effect, _, _, what, _ in self.record(action) if what == "begin")

    def record(self, action: Callable[[], object]) -> list[list[str]]:
        """The effects of all workers while `action` ran: name, process, time, "begin" or "end", and app."""
        record = self.plan.with_suffix(".record")
        record.unlink(missing_ok=True)
        self.plan.write_text(json.dumps({"record": str(record), "fired": str(self.fired)}))
        action()
        self.kill_no_more()
        return [line.split() for line in record.read_text().splitlines()]

    def containers(self) -> dict[str, str]:
        """All containers of the app: name → state."""
        found = self.client.containers.list(all=True, filters={"label": f"gitdeploy.app={self.name}"})
        return {str(c.name): str(c.status) for c in found}

    def versions(self) -> set[str]:
        """What its containers run."""
        filters = {"label": [f"gitdeploy.app={self.name}", "gitdeploy.role=app"]}
        return {str(c.labels["gitdeploy.version"]) for c in self.client.containers.list(all=True, filters=filters)}

    def networks(self) -> list[str]:
        """All networks of the app."""
        return [str(n.name) for n in self.client.networks.list(filters={"label": f"gitdeploy.app={self.name}"})]


MakeTiny = Callable[..., Tiny]


@pytest.fixture
def installed(gogs_dir: gogs.Gogs, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """gitdeploy in `gogs_dir`; its worker obeys the plan in `tmp_path`."""
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    site = install(gogs_dir, {"DOCKER_HOST": engine_url})
    script = site.home / "bin" / "gitdeploy"
    entry = CHECKOUT / "tests" / "faults" / "faulty.py"
    lines = [
        "#!/bin/sh",
        f"export FAULT_PLAN='{tmp_path}/plan.json' GITDEPLOY_HOME='{site.home}' PYTHONPATH='{CHECKOUT}'",
        f"exec '{sys.executable}' -s -P '{entry}' \"$@\"",
    ]
    script.write_text("\n".join([*lines, ""]))
    script.chmod(0o755)
    yield site
    site.kill_workers()


@pytest.fixture
def make_tiny(
    installed: Installed, base_images: BaseImages, docker_client: docker.DockerClient, app_name: str, tmp_path: Path
) -> Iterator[MakeTiny]:
    """Makes an enrolled app; takes TOML for its table, and a suffix for the names of more than one."""
    made: list[str] = []

    def make(extra: str = "", suffix: str = "", image: str = "") -> Tiny:
        name = f"{app_name}{suffix}"
        made.append(name)
        container, port = name.replace("/", "-"), free_port()
        text = extra if image else f"push = {{ enabled = false }}\n{extra}"
        installed.enrol(name, image or f"gitdeploy-faults/{name}", port, QUICK + text, container=container)
        clone = SampleApp(tmp_path / f"clone{suffix}")
        clone.path.mkdir()
        clone.git("init", "--quiet", "--initial-branch=main")
        (clone.path / "Dockerfile").write_text(DOCKERFILE)
        remote = installed.gogs.local(name)
        return Tiny(name, container, port, remote, clone, installed, docker_client, tmp_path / "plan.json")

    yield make
    for name in made:
        guards.remove_app(docker_client, name)
