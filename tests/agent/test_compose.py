"""The documented compose.yaml: what it mounts, names and starts is what the agent and the documented commands expect."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.gitserver.gitserver import read_server
from tests.support.agent import CHECKOUT
from tests.support.compose import parse

PAGE = (CHECKOUT / "gitdeploy" / "docs" / "install.md").read_text()
(TEXT,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMPOSE: Any = parse(TEXT)
AGENT, GOGS, REGISTRY, SETTINGS = (COMPOSE["services"][name] for name in ("gitdeploy", "gogs", "registry", "settings"))
(INI,) = re.findall(r"^```ini\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
DOCKERFILE = (CHECKOUT / "gitdeploy/agent/Dockerfile").read_text()


def mounts(service: dict[str, list[str]]) -> dict[str, str]:
    """Where in the container each volume or path is."""
    return {target: source for source, target in (volume.split(":")[:2] for volume in service["volumes"])}


def test_gogs_and_the_agent_share_gogs_data_and_nothing_else() -> None:
    assert mounts(GOGS) == {"/data": "gogs"}
    assert mounts(AGENT) == {
        "/data": "gogs",
        "/var/lib/gitdeploy": "gitdeploy",
        "/var/run/docker.sock": "/var/run/docker.sock",
    }
    assert "GITDEPLOY_DATA=/data " in DOCKERFILE + " "
    assert "GITDEPLOY_HOME=/var/lib/gitdeploy " in DOCKERFILE
    named = {source for service in (AGENT, GOGS, REGISTRY) for source in mounts(service).values() if "/" not in source}
    assert named == set(COMPOSE["volumes"])


def test_gogs_has_its_settings_before_it_starts(tmp_path: Path) -> None:
    """What both read of them is in the volume that they share, and the ports are those that are published."""
    assert mounts(SETTINGS) == {"/data": "gogs", "/app.ini": "./app.ini"}
    assert GOGS["depends_on"] == {"settings": {"condition": "service_completed_successfully"}}
    assert "cp -n /app.ini /data/gogs/conf/ " in TEXT
    data = tmp_path / "data"
    (data / "gogs/conf").mkdir(parents=True)
    (data / "gogs/conf/app.ini").write_text(INI)
    (data / "gogs/data/lfs-objects").mkdir(parents=True)
    (data / "git").mkdir()
    server = read_server(data)
    assert server.root == data / "git/gogs-repositories"
    assert server.database == ("sqlite3", str(data / "gogs/data/gogs.db"))
    assert server.lfs
    assert [server.settings["server"][key] for key in ("HTTP_PORT", "SSH_LISTEN_PORT")] == [
        port.rpartition(":")[2] for port in GOGS["ports"]
    ]


def test_the_agent_is_as_install_sh_makes_it() -> None:
    script = (CHECKOUT / "gitdeploy/agent/install.sh").read_text()
    assert AGENT["container_name"] == "gitdeploy"
    assert "name=gitdeploy " in script
    assert f" --init --network {AGENT['network_mode']} " in script
    assert f"docker run --restart {AGENT['restart']} " in script
    assert AGENT["init"] is True
    assert f"--time {AGENT['stop_grace_period'].removesuffix('s')} " in script


def test_a_new_volume_is_filled_by_gogs() -> None:
    assert AGENT["depends_on"] == ["gogs"]


def test_it_builds_from_the_checkout() -> None:
    build = AGENT["build"]
    assert build["context"] == "."
    assert (CHECKOUT / build["dockerfile"]).read_text() == DOCKERFILE
    let_in = (CHECKOUT / ".dockerignore").read_text().split()
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()}
    assert {f"!{name.rstrip('*')}" for name in copied} <= set(let_in)


def test_images_are_pushed_to_its_registry_and_only_this_machine_reaches_it() -> None:
    (port,) = REGISTRY["ports"]
    address, _, inside = port.rpartition(":")
    assert inside == "5000"
    assert address.startswith("127.0.0.1:")
    (command,) = re.findall(r"^docker compose exec gitdeploy .*$", PAGE, re.MULTILINE)
    assert command.startswith(f"docker compose exec gitdeploy gitdeploy enrol devops/dev-app --image {address}/")


@pytest.mark.parametrize("command", [["docker", "compose"], ["docker-compose"]])
def test_compose_itself_reads_it(command: list[str], tmp_path: Path) -> None:
    """Where it is installed."""
    found = shutil.which(command[0]) and subprocess.run([*command, "version"], check=False, capture_output=True).returncode == 0
    (tmp_path / "compose.yaml").write_text(TEXT)
    if found:
        subprocess.run([*command, "--file", tmp_path / "compose.yaml", "config", "--quiet"], check=True)
    assert set(parse(TEXT)) == {"services", "volumes"}
    with pytest.raises(ValueError, match="expected a new key"):
        parse(TEXT + "\nvolumes: {}\n")
