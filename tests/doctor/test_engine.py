"""Doctor asks a real engine, and real registries through it."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import docker
import pytest

import gitdeploy.engine.docker_engine  # noqa: F401 - before the child gives up root, for the checkout may be root's alone
from gitdeploy.cli import main
from gitdeploy.doctor.engine import Socket, judge_engine
from gitdeploy.engine.types import EngineInfo
from tests.doctor.patient import APP, Patient
from tests.support.gogs import Gogs
from tests.support.installed import install
from tests.support.net import free_port
from tests.support.registry import Registry


@pytest.fixture
def whole(patient: Patient, engine_url: str, tmp_path: Path) -> Patient:
    """An installation in which nothing is missing."""
    environ = {"DOCKER_HOST": engine_url, "DOCKER_CONFIG": str(tmp_path / "docker")}
    (tmp_path / "docker").mkdir()
    return Patient(type(patient.site)(patient.site.gogs, environ))


def push_to(patient: Patient, host: str) -> None:
    """Lets the app push its image to a registry."""
    config = patient.home / "config.toml"
    text = config.read_text().replace("127.0.0.1:5000/dev-app", f"{host}/dev-app")
    config.write_text(text.replace("enabled = false", "enabled = true"))


def log_in(patient: Patient, text: str) -> None:
    path = Path(patient.site.environ["DOCKER_CONFIG"]) / "config.json"
    path.write_text(text)
    path.chmod(0o600)


def test_nothing_is_wrong(whole: Patient, docker_client: docker.DockerClient) -> None:
    shown = whole.site.run("doctor").stdout

    assert f"Docker Engine {docker_client.version()['Version']}" in shown
    assert shown.endswith("\nall fine\n")


def test_registry_without_login(whole: Patient, registry: Registry) -> None:
    push_to(whole, registry.host)

    (finding,) = [finding for finding in whole.examine() if finding.check == "registry"]

    assert (finding.level, finding.found) == ("ok", f"{registry.host} without a login, for {APP}: accepted")


def test_registry_with_login(whole: Patient, registry_auth: Registry) -> None:
    push_to(whole, registry_auth.host)
    log_in(whole, registry_auth.docker_config())

    (finding,) = [finding for finding in whole.examine() if finding.check == "registry"]

    assert (finding.level, finding.found) == ("ok", f'{registry_auth.host} as "pusher", for {APP}: accepted')


def test_registry_that_wants_a_login(whole: Patient, registry_auth: Registry) -> None:
    push_to(whole, registry_auth.host)

    (fault,) = whole.faults()

    assert (fault.level, fault.check) == ("error", "registry")
    assert f"docker login {registry_auth.host}" in fault.fix


def test_wrong_password(whole: Patient, registry_auth: Registry) -> None:
    push_to(whole, registry_auth.host)
    login = base64.b64encode(b"pusher:swordfish").decode()
    log_in(whole, json.dumps({"auths": {registry_auth.host: {"auth": login}}}))

    (fault,) = whole.faults()

    assert fault.level == "error"
    assert 'check the password of "pusher"' in fault.fix
    assert "swordfish" not in str(fault)
    assert login not in str(fault)


def test_password_that_others_can_read(whole: Patient, registry_auth: Registry) -> None:
    push_to(whole, registry_auth.host)
    log_in(whole, registry_auth.docker_config())
    path = Path(whole.site.environ["DOCKER_CONFIG"]) / "config.json"
    path.chmod(0o644)

    (fault,) = whole.faults()

    assert (fault.level, fault.fix) == ("error", f"chmod 600 {path}")


def test_registry_that_is_away(whole: Patient) -> None:
    push_to(whole, f"127.0.0.1:{free_port()}")

    (fault,) = whole.faults()

    assert (fault.level, fault.check) == ("error", "registry")
    assert "connection refused" in fault.found


def test_hub_wants_a_login(patient: Patient) -> None:
    config = patient.home / "config.toml"
    config.write_text(config.read_text().replace("127.0.0.1:5000/dev-app", "6ain/dev-app").replace("false", "true"))

    (fault,) = patient.faults()

    assert (fault.level, fault.check) == ("error", "registry")
    assert fault.found.startswith("docker.io without a login")


def test_user_of_the_installation_is_asked_about(gogs_dir_of_git: Gogs, engine_url: str, tmp_path: Path) -> None:
    """Root starts doctor; it is Gogs' user whose worker needs the engine, and who owns the files."""
    site = install(gogs_dir_of_git, {})
    gogs_dir_of_git.own()
    out = tmp_path / "out"
    environ = {"GITDEPLOY_HOME": str(site.home), "DOCKER_HOST": engine_url}

    child = os.fork()
    if child == 0:
        os.environ.update(environ)
        with out.open("w") as sys.stdout:
            status = main(["doctor", "--json"])
        os._exit(status)
    _, status = os.waitpid(child, 0)

    findings = {finding["check"]: finding for finding in json.loads(out.read_text())["findings"]}
    assert os.waitstatus_to_exitcode(status) == 3
    assert "may not use the Docker Engine" in findings["engine"]["found"]
    assert "usermod -aG" in findings["engine"]["fix"]
    assert findings["owner"]["level"] == "ok"


def test_socket_for_everybody() -> None:
    info = EngineInfo("27.0.1", "1.46", "overlay2", True, "/var/lib/docker")

    engine, socket = judge_engine("unix:///s", info, Socket(Path("/s"), 0, "docker (999)", 0o666), 1000)

    assert (engine.level, socket.level) == ("ok", "error")
    assert socket.fix.startswith("chmod o= /s")
