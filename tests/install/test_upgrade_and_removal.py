"""install.sh again and back: an upgrade under running workers, and an uninstallation that leaves no trace."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.conftest import Installer
from tests.support.enrolling import HOOK, KEPT, listing
from tests.support.gogs import Gogs

APP = ("--repo", "Devops/Dev-App", "--image", "127.0.0.1:5000/dev-app", "--publish", "8080:80")


@pytest.fixture
def next_version(checkout: Path, wheels: Path, tmp_path: Path) -> Installer:
    """install.sh of a checkout with another version number."""
    copy = shutil.copytree(checkout, tmp_path / "checkout", symlinks=True)
    text = (copy / "gitdeploy/__init__.py").read_text()
    (copy / "gitdeploy/__init__.py").write_text(text.replace('__version__ = "', '__version__ = "99.'))
    return Installer(copy / "install.sh", wheels)


def version(gogs: Gogs) -> str:
    """What the installed command line says of itself."""
    command = [gogs.data / "gitdeploy/bin/gitdeploy", "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_upgrade_under_a_running_worker(installer: Installer, next_version: Installer, prepared: Gogs) -> None:
    installer.install(prepared.data, *APP)
    installer.install(prepared.data, "--all", "--image", "test/{repo}")
    template = prepared.data / "git/gitdeploy-template" / HOOK
    template.write_text("#!/bin/sh\n# an older one\n")
    home = prepared.data / "gitdeploy"
    first = (home / "lib").readlink()
    (home / "lib-before-the-first").mkdir()
    (prepared.repository("devops/dev-app") / HOOK).write_text("#!/bin/sh\n# gitdeploy post-receive hook\n# an older one\n")
    wrapper = (home / "bin/gitdeploy").read_text()
    probe = home / "bin/probe"  # starts as a worker does, then imports what it has not imported yet
    probe.write_text(wrapper.replace("-m gitdeploy", "-c 'input(); import docker, gitdeploy; print(docker.__file__)'"))
    probe.chmod(0o755)
    with subprocess.Popen([probe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        next_version.install(prepared.data)
        second = (home / "lib").readlink()
        assert second != first
        assert version(prepared).startswith("gitdeploy 99.")
        assert running.communicate("go\n", timeout=20)[0].startswith(f"{home.resolve()}/{first}/docker/")
    assert "an older one" not in (prepared.repository("devops/dev-app") / HOOK).read_text()
    assert "an older one" not in template.read_text()
    assert {path.lstat().st_uid for path in home.rglob("*")} - {0} == {1000}
    assert {path.name for path in home.glob("lib-*")} == {str(first), str(second)}


def test_damaged_program_is_installed_again(installer: Installer, prepared: Gogs) -> None:
    installer.install(prepared.data)
    shutil.rmtree(prepared.data / "gitdeploy/lib/dulwich")
    assert "installing" in installer.install(prepared.data)
    assert (prepared.data / "gitdeploy/lib/dulwich").is_dir()


def test_what_certificates_need_stays_through_upgrades(installer: Installer, next_version: Installer, prepared: Gogs) -> None:
    lib = prepared.data / "gitdeploy/lib"
    assert "installing" not in installer.install(prepared.data)
    assert not (lib / "acme").exists()
    refused = subprocess.run([_program(prepared), "-c", PEM], check=False, capture_output=True, text=True)
    assert "acme (not there)" in refused.stderr
    assert "install.sh again with --edge" in refused.stderr
    for script, options in ((installer, ["--edge"]), (next_version, [])):
        assert "installing" in script.install(prepared.data, *options)
        assert (lib / "acme").is_dir()
        found = subprocess.run([_program(prepared), "-c", PEM], check=True, capture_output=True, text=True).stdout
        assert found.startswith(str(lib.resolve()))
    assert "installing" not in next_version.install(prepared.data)


PEM = """\
from gitdeploy.edge.extra import require_extra
try:
    require_extra()
except Exception as error:
    raise SystemExit(f"{error.reason}: {error.hint}")
import acme.client, gitdeploy.edge.authority
print(acme.client.__file__)
"""


def _program(gogs: Gogs) -> Path:
    """The Python of the installed command line, with its packages and no others."""
    text = (gogs.data / "gitdeploy/bin/gitdeploy").read_text()
    probe = gogs.data / "gitdeploy/bin/probe"
    probe.write_text(text.replace("-m gitdeploy", ""))
    probe.chmod(0o755)
    return probe


def test_failed_upgrade_leaves_the_program(next_version: Installer, prepared: Gogs, tmp_path: Path) -> None:
    before = listing(prepared.data)
    text = next_version.run("--data", prepared.data, "--wheels", tmp_path, check=3)
    assert "ERROR: " in text
    assert "pip cannot install the dependencies" in text
    assert listing(prepared.data) == before


def test_no_space_leaves_the_program(installer: Installer, gogs: Gogs) -> None:
    home = gogs.data / "gitdeploy"
    home.mkdir()
    os.chown(home, 1000, 1000)
    mounted = 'mount -t tmpfs -o size=2m,uid=1000,gid=1000 none "$0" && "$@"; status=$?; ls -A "$0"; exit $status'
    small = ["unshare", "--mount", "sh", "-c", mounted, str(home)]
    text = installer.install(gogs.data, *APP, check=3, prefix=small)
    assert "No space left on device" in text
    assert not [line for line in text.splitlines() if line.startswith(("lib", ".lib"))]
    assert not (gogs.repository("devops/dev-app") / "gitdeploy.conf").exists()


def test_uninstall_and_purge_leave_no_trace(installer: Installer, prepared: Gogs, installed_program: Path) -> None:
    shutil.rmtree(prepared.data / "gitdeploy")
    theirs = prepared.repository("devops/other") / HOOK
    theirs.parent.mkdir()
    theirs.write_text("#!/bin/sh\necho theirs\n")
    theirs.chmod(0o755)
    prepared.own()
    before = listing(prepared.data)
    subprocess.run(["cp", "-a", installed_program, prepared.data / "gitdeploy"], check=True)
    installer.install(prepared.data, "--all", "--image", "test/{repo}")
    assert (theirs.parent / KEPT.name).read_text() == "#!/bin/sh\necho theirs\n"
    config = (prepared.data / "gitdeploy/config.toml").read_text()

    text = installer.run("--data", prepared.data, "--uninstall")
    assert "devops/dev-app: hook removed" in text
    assert f"devops/other: the earlier hook is back: {theirs}" in text
    after = listing(prepared.data)
    stays = {
        "gitdeploy",
        *(f"gitdeploy/{name}" for name in ("audit.jsonl", "config.toml", "installation-id", "logs", "state.db")),
    }
    assert set(after) - set(before) <= stays
    assert {name: facts for name, facts in after.items() if name in before} == before
    assert (prepared.data / "gitdeploy/config.toml").read_text() == config

    installer.run("--data", prepared.data, "--uninstall", "--purge")
    assert listing(prepared.data) == before
    installer.run("--data", prepared.data, "--uninstall", "--purge")
    assert listing(prepared.data) == before


def test_installing_again_finds_config_and_history(installer: Installer, prepared: Gogs, installed_program: Path) -> None:
    installer.install(prepared.data, *APP)
    config = (prepared.data / "gitdeploy/config.toml").read_bytes()
    installer.run("--data", prepared.data, "--uninstall")
    subprocess.run(["cp", "-a", f"{installed_program}/.", prepared.data / "gitdeploy"], check=True)
    installer.install(prepared.data, "--repo", "devops/dev-app")
    assert (prepared.data / "gitdeploy/config.toml").read_bytes() == config
    assert (prepared.repository("devops/dev-app") / "gitdeploy.conf").exists()


def test_broken_installation_can_be_removed(installer: Installer, prepared: Gogs) -> None:
    installer.install(prepared.data, *APP)
    home = prepared.data / "gitdeploy"
    shutil.rmtree(home / (home / "lib").readlink())
    (home / "config.toml").write_text("not [ TOML")
    installer.run("--data", prepared.data, "--uninstall")
    assert not (prepared.repository("devops/dev-app") / "gitdeploy.conf").exists()
    assert (home / "config.toml").read_text() == "not [ TOML"


def test_waiting_pushes_stay(installer: Installer, prepared: Gogs) -> None:
    installer.install(prepared.data, *APP)
    push = prepared.data / "gitdeploy/spool/1-a.push"
    push.write_text("gitdeploy-push 1\n")
    assert "1 pushes that wait" in installer.run("--data", prepared.data, "--uninstall")
    assert push.exists()


@pytest.fixture
def lock(prepared: Gogs) -> Iterator[Path]:
    """The lock of an app that is being deployed."""
    path = prepared.data / "gitdeploy/locks/devops/dev-app.lock"
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        prepared.own()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield path


def test_not_while_a_deployment_runs(installer: Installer, prepared: Gogs, lock: Path) -> None:
    installer.install(prepared.data, *APP)
    before = listing(prepared.data)
    text = installer.run("--data", prepared.data, "--uninstall", "--purge", check=3)
    assert f"a deployment or a scheduled run is under way: {lock} is held" in text
    assert listing(prepared.data) == before
