"""What a container for one command is made of, and which of them nobody waits for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.model import App
from gitdeploy.config.runoptions import Run
from gitdeploy.engine.mapping import creation
from gitdeploy.engine.types import Attended, Container
from gitdeploy.releases.release import ONE_OFF, TASK
from gitdeploy.targets.docker.oneoff import abandoned, one_off
from gitdeploy.targets.docker.rollout.found import sort_out

RUN = Run(
    **{
        "command": ("serve",),
        "hostname": "web",
        "network_aliases": ("api",),
        "ip": "10.0.0.5",
        "mac_address": "02:42:0a:00:00:05",
    },
    **{"labels": {"traefik.enable": "true"}, "memory": 64 << 20, "user": "app", "log_driver": "syslog"},  # type: ignore[arg-type]
)
APP = App(
    name="devops/dev-app",
    image="example/dev-app",
    container="dev-app",
    publish=(Publish("", 8080, 80),),
    volumes=(Volume("data", "/data"),),
    networks=("backend", "other"),
    env_file=Path("/secret"),
    stop_timeout=7.0,
    run=RUN,
)


def made(**options: Any) -> dict[str, Any]:
    options = {"name": "dev-app.run.1", "kind": "run", **options}
    return creation(one_off(APP, 5, "sha256:1", {"A": "b"}, ("sh", "-c", "x"), **options))


def test_it_has_what_the_release_has() -> None:
    body = made()
    assert (body["Image"], body["Env"], body["Cmd"], body["User"]) == ("sha256:1", ["A=b"], ["sh", "-c", "x"], "app")
    host = body["HostConfig"]
    assert (host["Binds"], host["Memory"], host["NetworkMode"]) == (["data:/data"], 64 << 20, "backend")
    assert body["StopTimeout"] == 7


def test_nothing_leads_requests_to_it() -> None:
    body = made(labels={TASK: "migrate"})
    assert body["HostConfig"]["PortBindings"] == body["ExposedPorts"] == {}
    assert body["NetworkingConfig"]["EndpointsConfig"] == {"backend": {"Aliases": []}}
    assert "MacAddress" not in body
    assert "Hostname" not in body
    labels = {"gitdeploy.app": "devops/dev-app", "gitdeploy.release": "5", ONE_OFF: "run", TASK: "migrate"}
    assert body["Labels"] == labels


def test_the_engine_removes_it_and_keeps_no_log() -> None:
    body = made(attended=Attended())
    host = body["HostConfig"]
    assert (host["AutoRemove"], host["LogConfig"]["Type"], host["RestartPolicy"]["Name"]) == (True, "none", "no")
    assert body["Healthcheck"] == {"Test": ["NONE"]}


def test_a_task_stays_until_its_end_is_on_record() -> None:
    host = made(kind="task", run=Run(log_driver="json-file"))["HostConfig"]
    assert not host.get("AutoRemove")
    assert (host["LogConfig"]["Type"], host["RestartPolicy"]["Name"]) == ("json-file", "no")


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("interactive", [False, True])
def test_how_somebody_is_attached(terminal: bool, interactive: bool) -> None:
    body = made(attended=Attended(terminal, interactive, (30, 100) if terminal else (0, 0)))
    assert (body["Tty"], body["OpenStdin"], body["StdinOnce"], body["AttachStdin"]) == (terminal, *[interactive] * 3)
    assert body["HostConfig"].get("ConsoleSize") == ([30, 100] if terminal else None)


def test_a_task_has_options_of_its_own() -> None:
    body = made(kind="task", run=Run(user="migrator", command=("migrate",)))
    assert (body["User"], body["Labels"][ONE_OFF], body["Cmd"]) == ("migrator", "task", ["sh", "-c", "x"])


def container(kind: str, state: str, created: str = "1970-01-01T00:16:40.123456789Z") -> Container:  # 1000 s
    labels = {"gitdeploy.app": APP.name, "gitdeploy.release": "5", "gitdeploy.role": "app", ONE_OFF: kind}
    return Container("1", "dev-app", "sha256:1", "x", labels, state, created=created)


@pytest.mark.parametrize(
    ("state", "now", "left"),
    [
        ("running", 9000.0, False),
        ("paused", 9000.0, False),
        ("created", 1030.0, False),
        ("created", 1100.0, True),
        ("exited", 1001.0, True),
        ("dead", 1001.0, True),
        ("removing", 1001.0, False),
    ],
)
def test_which_nobody_waits_for(state: str, now: float, left: bool) -> None:
    assert abandoned(container("run", state), now) == left


def test_it_is_none_of_the_containers_of_a_release() -> None:
    found = sort_out([container("run", "running"), container("task", "exited")], None)
    assert (found.groups, found.routers, found.strays) == ((), (), ())
