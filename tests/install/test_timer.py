"""What starts scheduled jobs in direct mode: install.sh sets it up, keeps it, and takes it away."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.install.conftest import Installer
from tests.support.gogs import Gogs


@dataclass(frozen=True)
class Machine:
    """What install.sh takes for the machine.

    Attributes:
        root: in place of /.
        programs: come first on PATH.
    """

    root: Path
    programs: Path

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def said(self) -> list[str]:
        """What the programs were called with, and not any more."""
        path = self.programs / "said"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def machine(installer: Installer, open_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with neither systemd nor cron, for this installer."""
    machine = Machine(open_path / "root", open_path / "programs")
    for path in (machine.root / "etc/systemd/system", machine.programs):
        path.mkdir(parents=True)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    environ = {"GITDEPLOY_ROOT": str(machine.root), "PATH": f"{machine.programs}:{os.environ['PATH']}"}
    installer.environ |= environ
    return machine


def test_cron(installer: Installer, prepared: Gogs, machine: Machine) -> None:
    machine.program("cron", "exit 1")
    (machine.root / "etc/cron.d").mkdir()
    text = installer.install(prepared.data)
    assert "no timer" not in text
    held = prepared.data / "gitdeploy/locks/run-1.lock"
    held.parent.mkdir(exist_ok=True)
    with held.open("w") as lock:
        prepared.own()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "under way" in installer.run("--data", prepared.data, "--uninstall", check=3)
    (line,) = machine.files()
    assert stat.S_IMODE(line.stat().st_mode) == 0o644
    words = line.read_text().split(" ", 6)
    assert words[:5] == ["*"] * 5
    written = line.stat().st_mtime_ns
    installer.install(prepared.data)
    assert line.stat().st_mtime_ns == written

    home = prepared.data / "gitdeploy"
    command = re.sub("setpriv .* env ", "", words[6])  # which is there where user 1000 has no name
    ran = [*prepared.as_owner(), "sh", "-c", command]
    (home / "bin/gitdeploy").rename(home / "bin/real")
    subprocess.run(ran, check=True)  # without a marker it does not even look for gitdeploy
    (home / "bin/real").rename(home / "bin/gitdeploy")
    (home / "schedules").touch()
    prepared.own()
    subprocess.run(ran, check=True)
    assert not (home / "schedules").exists()  # it has looked, and there was nothing

    installer.run("--data", prepared.data, "--uninstall")
    assert machine.files() == []


def test_systemd(installer: Installer, prepared: Gogs, machine: Machine) -> None:
    machine.program("systemctl", f'echo "$@" >>{machine.programs}/said')
    (machine.root / "run/systemd/system").mkdir(parents=True)
    installer.environ["DOCKER_HOST"] = "unix:///run/other.sock"
    installer.install(prepared.data)
    service, timer = machine.files()
    home = prepared.data / "gitdeploy"
    assert machine.said() == ["daemon-reload", f"--quiet enable --now {timer.name}"]
    assert f"ConditionPathExists={home}/schedules\n" in service.read_text()
    assert "User=1000\n" in service.read_text()
    assert service.read_text().endswith(
        f"ExecStart=/usr/bin/env DOCKER_HOST=unix:///run/other.sock {home}/bin/gitdeploy schedule --tick\n"
    )
    assert "OnCalendar=*-*-* *:*:00\n" in timer.read_text()
    installer.run("--data", prepared.data, "--uninstall")
    assert machine.said() == [f"--quiet disable --now {timer.name}", "daemon-reload"]
    assert machine.files() == []


@pytest.fixture
def table(installer: Installer, machine: Machine, open_path: Path) -> Path:
    """The crontab of the owner, who may read the checkout, and what crontab says of it."""
    copy = shutil.copytree(installer.script.parent, open_path / "checkout", symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
    installer.script = copy / "install.sh"
    table = machine.programs / "table"
    table.write_text("0 0 * * * theirs\n")
    table.chmod(0o666)
    shift = f'[ "$1" != -u ] || {{ [ "$2" = "{_owner()}" ] && shift 2; }} || exit 1'
    listed = f'[ "$1" = - ] || {{ echo "a warning" >&2; exec cat {table}; }}'
    machine.program("crontab", f'{shift}; {listed}; new=$(cat); printf "%s\\n" "$new" >{table}')
    return table


def _owner() -> str:
    """The name of user 1000, who may have none here."""
    try:
        return pwd.getpwuid(1000).pw_name
    except KeyError:
        return ""


def test_a_user_has_a_line_of_his_own(installer: Installer, prepared: Gogs, machine: Machine, table: Path) -> None:
    as_owner = tuple(prepared.as_owner())
    for _ in range(2):
        installer.run("--data", prepared.data, prefix=as_owner)
        theirs, ours = table.read_text().splitlines()
        assert theirs == "0 0 * * * theirs"
        assert ours.startswith(f"* * * * * test ! -e {prepared.data}/gitdeploy/schedules || ")
    by_root = _owner() and os.geteuid() == 0
    installer.run("--data", prepared.data, "--uninstall", prefix=() if by_root else as_owner)
    assert table.read_text() == "0 0 * * * theirs\n"


def test_a_crontab_that_cannot_be_read_or_written_is_left(
    installer: Installer, prepared: Gogs, machine: Machine, table: Path
) -> None:
    as_owner = tuple(prepared.as_owner())
    real = (machine.programs / "crontab").read_text().partition("\n")[2]
    machine.program("crontab", f'[ "$1" != -l ] || {{ echo "no room" >&2; exit 1; }}; {real}')
    text = installer.install(prepared.data, prefix=as_owner)
    assert "no timer for scheduled jobs ([apps.X.schedule]) and certificates (domains): crontab -l: no room\n" in text
    assert table.read_text() == "0 0 * * * theirs\n"
    machine.program("crontab", '[ "$1" = -l ] || { echo "not allowed" >&2; exit 1; }')
    text = installer.run("--data", prepared.data, prefix=as_owner)
    assert "([apps.X.schedule]) and certificates (domains): crontab: not allowed\n" in text
    machine.program("crontab", f'[ "$1" != -l ] || {{ echo "no crontab for you" >&2; exit 1; }}; {real}')
    assert "no timer" not in installer.run("--data", prepared.data, prefix=as_owner)
    assert table.read_text().startswith("* * * * * test ! -e ")


def test_without_either_it_says_what_to_do(installer: Installer, prepared: Gogs, machine: Machine) -> None:
    text = installer.install(prepared.data)
    assert "([apps.X.schedule]) and certificates (domains): neither systemd nor cron runs here" in text
    assert f"have this run every minute: {prepared.data}/gitdeploy/bin/gitdeploy schedule --tick" in text
    assert machine.files() == []


def test_a_place_that_cron_would_not_understand(installer: Installer, prepared: Gogs, machine: Machine) -> None:
    machine.program("cron", "exit 1")
    (machine.root / "etc/cron.d").mkdir()
    installer.environ["DOCKER_HOST"] = "unix:///50%.sock"
    assert "systemd and cron could mistake a character in: DOCKER_HOST=unix:///50%.sock" in installer.install(prepared.data)
    assert machine.files() == []


def test_a_timer_that_is_not_wanted_goes(installer: Installer, prepared: Gogs, machine: Machine) -> None:
    machine.program("crond", "exit 1")
    (machine.root / "etc/cron.d").mkdir()
    installer.install(prepared.data)
    assert machine.files() != []
    assert "no timer" not in installer.install(prepared.data, "--no-timer")
    assert machine.files() == []
