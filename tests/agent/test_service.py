"""An agent on the host: the documented commands lead to the systemd unit's service, and that deploys."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from gitdeploy.cli import VERBS
from gitdeploy.cli.worker import add_arguments
from tests.support import gogs as directories
from tests.support import guards, sshd
from tests.support.agent import CHECKOUT
from tests.support.apps import SampleApp
from tests.support.gogs import Gogs
from tests.support.images import BaseImages
from tests.support.net import get, wait_until
from tests.support.registry import Registry

UNIT = CHECKOUT / "gitdeploy/agent/gitdeploy.service"
PLACES = ("/opt/gitdeploy", "/usr/local/bin/gitdeploy", "/var/lib/gitdeploy", "/srv/gogs", "/etc/systemd/system/")

# `systemctl enable --now` as far as it matters here: what the unit says is started, with nothing but the unit's environment.
SYSTEMCTL = """\
#!/bin/sh
[ "$1" = enable ] || exit 0
command=$(sed -n 's/^ExecStart=//p' "$UNITS/gitdeploy.service")
umask 077
env -i PATH="$PATH" DOCKER_HOST="$DOCKER_HOST" setsid $command >"$UNITS/journal" 2>&1 &
echo $! >"$UNITS/pid"
"""


def readme_commands() -> str:
    """The documented commands that install the service."""
    page = (CHECKOUT / "gitdeploy" / "docs" / "install.md").read_text()
    blocks: list[str] = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if "systemctl" in block]
    return found


def test_the_unit_and_the_readme_name_the_same_places() -> None:
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    program, verb, *options = unit["Service"]["ExecStart"].split()
    commands = readme_commands()
    assert f"cat >{program} <<" in commands
    assert verb in VERBS
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert parser.parse_args(options).watch
    assert f"GITDEPLOY_HOME=/var/lib/{unit['Service']['StateDirectory']} " in commands
    assert "GITDEPLOY_MODE=agent" in commands
    assert f"cp {UNIT.relative_to(CHECKOUT)} /etc/systemd/system/" in commands


@pytest.fixture
def service(open_path: Path, wheels: Path, engine_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Gogs, Path]]:
    """A Gogs on the host and a directory in which the documented places lie; ends what was started there."""
    gogs = directories.create(open_path / "srv/gogs", owner=1000)
    for place in ("opt", "usr/local/bin", "var/lib", "etc/systemd/system", "stub"):
        (open_path / place).mkdir(parents=True)
    stub = open_path / "stub/systemctl"
    stub.write_text(SYSTEMCTL)
    stub.chmod(0o755)
    units = open_path / "etc/systemd/system"
    monkeypatch.setenv("UNITS", str(units))
    monkeypatch.setenv("DOCKER_HOST", engine_url)
    monkeypatch.setenv("PATH", f"{stub.parent}:{open_path}/usr/local/bin:/usr/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    yield gogs, open_path
    if (units / "pid").exists():
        os.killpg(int((units / "pid").read_text()), signal.SIGTERM)
        wait_until(lambda: "gitdeploy" not in _processes(open_path), 30, "the service's end")


def _processes(directory: Path) -> str:
    done = subprocess.run(["pgrep", "--full", f"{directory}/opt"], check=False, capture_output=True, text=True)
    return "gitdeploy" if done.stdout else ""


@pytest.mark.exhaustive  # pip takes its time
def test_from_the_readmes_commands_to_a_deployed_push(
    service: tuple[Gogs, Path],
    sample_app: SampleApp,
    registry: Registry,
    base_images: BaseImages,
    app_name: str,
    free_port: int,
    tmp_path: Path,
) -> None:
    gogs, root = service
    gogs.create_repository(app_name)
    checkout = tmp_path / "checkout"
    shutil.copytree(CHECKOUT, checkout, symlinks=True, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"))
    commands, unit = readme_commands(), checkout / UNIT.relative_to(CHECKOUT)
    for place in PLACES:
        commands = commands.replace(place, f"{root}{place}")
        unit.write_text(unit.read_text().replace(place, f"{root}{place}"))
    commands = commands.replace("devops/dev-app", app_name).replace("8080:80", f"127.0.0.1:{free_port}:80")
    commands = commands.replace("127.0.0.1:5000/dev-app", f"{registry.host}/{app_name}")
    done = subprocess.run(["sh", "-euc", commands], check=False, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hook installed" in done.stdout
    if shutil.which("systemd-analyze"):
        (unit.parent / "gitdeploy.service").write_text(unit.read_text())
        subprocess.run(["systemd-analyze", "verify", "--man=no", unit], check=True)
    (tmp_path / "sshd").mkdir()
    with sshd.serve(gogs, tmp_path / "sshd", guards.server_environment()) as server:
        sample_app.release("1.0.0")
        push = sample_app.push(server.remote(app_name))
    assert "1.0.0 is live" in push.text, push.text + (root / "etc/systemd/system/journal").read_text()
    assert get(f"http://127.0.0.1:{free_port}").strip() == "dev-app 1.0.0"
