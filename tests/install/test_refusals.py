"""install.sh where it cannot go on: it says what is wrong and what to do, and has changed nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.install.conftest import Installer
from tests.support.enrolling import listing
from tests.support.gogs import Gogs

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "--data: expected the data directory"),
        (("--data",), "--data: expected a value, found none"),
        (("--data", "/nonexistent/x"), "--data: there is no directory /nonexistent/x"),
        (("--data", "/", "--frobnicate"), "--frobnicate: no such option"),
        (("--data", "/", "extra"), "extra: no such option"),
        (("--data", "/", "--mode", "swarm"), "--mode: expected direct or agent, found swarm"),
        (("--data", "/", "--all", "--repo", "a/b"), "--all and --repo exclude each other"),
        (("--data", "/", "--image", "x"), "--image is of one repository, or of all"),
        (("--data", "/", "--all", "--publish", "1:1"), "are of one repository"),
        (("--data", "/", "--bare", "/nonexistent"), "--bare: expected a bare repository"),
        (("--data", "/", "--wheels", "/nonexistent/x"), "--wheels: there is no such directory"),
        (("--data", "/", "--purge"), "--purge goes with --uninstall"),
    ],
)
def test_usage(installer: Installer, arguments: tuple[str, ...], reason: str) -> None:
    text = installer.run(*arguments, check=2)
    assert reason in text
    assert "what to do:" in text


def test_help(installer: Installer) -> None:
    for option in ("--help", "-h"):
        assert "./install.sh --data DIR --repo OWNER/NAME" in installer.run(option)


def test_not_a_gogs(installer: Installer, tmp_path: Path) -> None:
    text = installer.install(tmp_path, "--repo", "a/b", check=3)
    assert f"{tmp_path} is no data directory of Gogs or Gitea" in text
    assert list(tmp_path.iterdir()) == []


def test_root_of_the_repositories_is_wrong(installer: Installer, gogs: Gogs) -> None:
    ini = gogs.data / "gogs/conf/app.ini"
    ini.write_text(ini.read_text().replace("/home/git/gogs-repositories", "/mnt/repositories"))
    assert "[repository] ROOT: expected a directory of this machine, found none there" in installer.install(gogs.data, check=3)


def test_no_such_repository(installer: Installer, prepared: Gogs) -> None:
    text = installer.install(prepared.data, "--repo", "devops/dev-ap", "--image", "x/y", check=2)
    assert "there is no repository devops/dev-ap" in text
    assert "devops/dev-app" in text


def test_image_is_missing(installer: Installer, prepared: Gogs) -> None:
    text = installer.install(prepared.data, "--repo", "devops/dev-app", check=2)
    assert "--image" in text
    assert not (prepared.repository("devops/dev-app") / "gitdeploy.conf").exists()


def test_bad_values(installer: Installer, prepared: Gogs) -> None:
    bad = ("--image", "UPPER/case", "--publish", "99999:80")
    text = installer.install(prepared.data, "--repo", "devops/dev-app", *bad, check=2)
    assert "image" in text
    assert "publish" in text
    assert "[apps" not in (prepared.data / "gitdeploy/config.toml").read_text().replace("# [apps", "")


def test_neither_owner_nor_root(checkout: Path, wheels: Path, gogs: Gogs, open_path: Path) -> None:
    readable = shutil.copytree(checkout, open_path / "checkout", symlinks=True)
    readable.chmod(0o755)
    installer = Installer(readable / "install.sh", wheels)
    before = listing(gogs.data)
    text = installer.install(gogs.data, "--repo", "devops/dev-app", "--image", "x/y", check=3, prefix=NOBODY)
    assert "the repositories belong to user 1000, and you are user 65534" in text
    assert listing(gogs.data) == before


def test_directory_is_a_trap(installer: Installer, gogs: Gogs, open_path: Path) -> None:
    """The owner of the data directory has put a link in the place of ours; root must not write where it leads."""
    victim = open_path / "victim"
    victim.mkdir()
    (gogs.data / "gitdeploy").symlink_to(victim)
    os.lchown(gogs.data / "gitdeploy", 1000, 1000)
    text = installer.install(gogs.data, "--repo", "devops/dev-app", "--image", "x/y", check=3)
    assert "Permission denied" in text
    assert list(victim.iterdir()) == []


def stub(directory: Path, name: str, script: str) -> None:
    """Puts a program into a directory of stubs."""
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)


TOOLS = ("dirname", "basename", "id", "cat", "sed", "tr", "readlink", "mktemp", "rm", "rmdir", "sh", "env")


@pytest.fixture
def bare_machine(installer: Installer, tmp_path: Path) -> Path:
    """PATH of a machine with the usual tools and no Python, also not at the usual places."""
    for name in TOOLS:
        (tmp_path / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")
    script = tmp_path / "install.sh"
    script.write_text(installer.script.read_text().replace("/usr/bin/python3 /usr/local/bin/python3", ""))
    script.chmod(0o755)
    (tmp_path / "gitdeploy").symlink_to(installer.script.parent / "gitdeploy")
    installer.script = script
    installer.environ["PATH"] = str(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("manager", "command"),
    [("apt-get", "apt-get install python3 python3-pip"), ("apk", "apk add python3 py3-pip"), ("dnf", "dnf install python3.11")],
)
def test_no_python(installer: Installer, gogs: Gogs, bare_machine: Path, manager: str, command: str) -> None:
    stub(bare_machine, manager, "exit 0")
    text = installer.install(gogs.data, check=3)
    assert "install.sh: there is no Python 3.11 or newer" in text
    assert f"what to do: {command}" in text


def test_python_is_too_old(installer: Installer, gogs: Gogs, bare_machine: Path) -> None:
    answers = 'case $* in *sys.executable*) echo "$0" ;; *version_info*) exit 1 ;; *) echo Python 3.9.2 ;; esac'
    stub(bare_machine, "python3", answers)
    text = installer.install(gogs.data, check=3)
    assert f"{bare_machine}/python3 is Python 3.9.2, and gitdeploy needs 3.11 or newer" in text


def test_python_without_pip(installer: Installer, gogs: Gogs, bare_machine: Path) -> None:
    stub(bare_machine, "python3", 'case $* in *sys.executable*) echo "$0" ;; *"import pip"*) exit 1 ;; esac')
    stub(bare_machine, "apt-get", "exit 0")
    text = installer.install(gogs.data, check=3)
    assert f"{bare_machine}/python3 has no pip" in text
    assert "apt-get install python3 python3-pip" in text


def test_python_that_the_owner_may_not_run(installer: Installer, gogs: Gogs, bare_machine: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    stub(private, "python3", 'case $* in *sys.executable*) echo "$0" ;; *) exec /usr/bin/python3 "$@" ;; esac')
    (bare_machine / "python3").symlink_to(private / "python3")
    stub(private, "python3", f'case $* in *sys.executable*) echo "{private}/python3" ;; *) exec /usr/bin/python3 "$@" ;; esac')
    text = installer.install(gogs.data, check=3)
    assert f"user 1000, who owns the repositories, may not run {private}/python3" in text
