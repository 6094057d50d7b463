"""install.sh into a data directory of user 1000, run by root: what is there afterwards, and whose it is."""

from __future__ import annotations

import os
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.install.conftest import Installer
from tests.support import apps
from tests.support.enrolling import listing
from tests.support.gogs import Gogs
from tests.support.net import wait_until

APP = ("--repo", "Devops/Dev-App", "--image", "127.0.0.1:5000/dev-app", "--publish", "8080:80")


def times(top: Path) -> dict[Path, int]:
    """When everything below a directory was written, SQLite's and lock files aside."""
    return {path: path.lstat().st_mtime_ns for path in top.rglob("*") if path.is_file()}


def test_fresh(installer: Installer, gogs: Gogs) -> None:
    before = set(listing(gogs.data))
    text = installer.install(gogs.data, *APP, "--strategy", "recreate", "--container", "web")
    home = gogs.data / "gitdeploy"
    assert f"gitdeploy is in {home}" in text
    after = listing(gogs.data)
    assert {(uid, gid) for _, uid, gid, _ in after.values()} == {(1000, 1000)}
    assert {name.split("/")[0] for name in set(after) - before} == {"gitdeploy", "git"}
    modes = {name: stat.S_IMODE(after[f"gitdeploy/{name}"][0]) for name in ("config.toml", "bin/gitdeploy", "spool", "logs")}
    assert modes == {"config.toml": 0o600, "bin/gitdeploy": 0o755, "spool": 0o700, "logs": 0o700}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [name for name, facts in after.items() if facts[0] & 0o022 and not stat.S_ISLNK(facts[0])] == []
    config = tomllib.loads((home / "config.toml").read_text())
    expected = {"image": "127.0.0.1:5000/dev-app", "publish": ["8080:80"], "strategy": "recreate", "container": "web"}
    assert config == {"apps": {"devops/dev-app": expected}}
    conf = (gogs.repository("devops/dev-app") / "gitdeploy.conf").read_text()
    assert conf.splitlines()[:4] == ["app devops/dev-app", "ref refs/heads/main", f"home {home}", "home /data/gitdeploy"]
    said = subprocess.run([home / "bin/gitdeploy", "status"], check=True, capture_output=True, text=True).stdout
    assert "devops/dev-app" in said


def test_push_reaches_the_installed_worker(installer: Installer, prepared: Gogs, open_path: Path) -> None:
    installer.install(prepared.data, *APP)
    clone = apps.create(open_path / "clone")
    clone.release("0.0.1")
    subprocess.run(["chown", "-R", "1000:1000", clone.path], check=True)
    remote = prepared.local("devops/dev-app")
    push = subprocess.run(
        [*prepared.as_owner(), "git", "-C", clone.path, "push", remote.url, "main"],
        env={**os.environ, **remote.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "remote: " in push.stderr
    assert "/nonexistent/docker.sock" in push.stderr
    wait_until(lambda: not list((prepared.data / "gitdeploy/spool").glob("*.push")), 20, "the end of the deployment")
    assert {path.lstat().st_uid for path in (prepared.data / "gitdeploy").rglob("*")} == {1000}


def test_second_run_changes_nothing(installer: Installer, prepared: Gogs) -> None:
    installer.install(prepared.data, *APP)
    before, written = listing(prepared.data), times(prepared.data)
    for arguments in ((), APP):
        text = installer.install(prepared.data, *arguments)
        assert "installing" not in text
    assert listing(prepared.data) == before
    assert times(prepared.data) == written


def test_config_that_a_person_edited(installer: Installer, prepared: Gogs) -> None:
    installer.install(prepared.data, *APP)
    config = prepared.data / "gitdeploy/config.toml"
    edited = config.read_text().replace('\npublish = ["8080:80"]', '\npublish = ["8081:80"] # mine\n\n# Keep this')
    edited += "\n[server]\nparallel = 1\n"
    config.write_text(edited)
    installer.install(prepared.data)
    assert config.read_text() == edited
    installer.install(prepared.data, "--repo", "devops/dev-app", "--image", "other/image")
    assert config.read_text() == edited.replace('\nimage = "127.0.0.1:5000/dev-app"', '\nimage = "other/image"')
    ports = ("--publish", "8082:80", "--publish", "8083:81")
    installer.install(prepared.data, "--repo", "devops/other", "--image", "6ain/other", *ports)
    apps_now = tomllib.loads(config.read_text())["apps"]
    assert apps_now["devops/other"] == {"image": "6ain/other", "publish": ["8082:80", "8083:81"]}
    assert "# mine\n\n# Keep this" in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_all_repositories(installer: Installer, prepared: Gogs) -> None:
    installer.install(prepared.data, "--all", "--image", "127.0.0.1:5000/{owner}/{repo}")
    apps = tomllib.loads((prepared.data / "gitdeploy/config.toml").read_text())["apps"]
    assert {name: app["image"] for name, app in apps.items()} == {
        "devops/dev-app": "127.0.0.1:5000/devops/dev-app",
        "devops/other": "127.0.0.1:5000/devops/other",
    }
    assert all((prepared.repository(name) / "gitdeploy.conf").exists() for name in apps)


def test_all_repositories_that_the_config_knows(installer: Installer, prepared: Gogs) -> None:
    installer.install(prepared.data, *APP)
    hook = prepared.repository("devops/dev-app") / "custom_hooks/post-receive"
    hook.unlink()
    text = installer.install(prepared.data, "--all")
    assert "devops/other: left out" in text
    assert hook.exists()
    assert not (prepared.repository("devops/other") / "gitdeploy.conf").exists()


def test_bare_repository_without_gogs(installer: Installer, open_path: Path, installed_program: Path) -> None:
    repository = open_path / "srv" / "Team" / "App.git"
    subprocess.run(["git", "init", "--quiet", "--bare", repository], check=True)
    subprocess.run(["chown", "-R", "1000:1000", repository], check=True)
    data = open_path / "srv"  # root's: the owner of the repository could not make a directory there
    subprocess.run(["cp", "-a", installed_program, data / "gitdeploy"], check=True)
    before = listing(repository)
    installer.install(data, "--bare", repository, "--image", "team/app")
    assert "gitdeploy post-receive hook" in (repository / "hooks/post-receive").read_text()
    assert (repository / "gitdeploy.conf").read_text().startswith(f"app team/app\nref refs/heads/main\nhome {data}/gitdeploy\n")
    assert {path.lstat().st_uid for path in (data / "gitdeploy").rglob("*")} == {1000}
    installer.install(data)
    installer.run("--data", data, "--uninstall", "--purge")
    assert listing(repository) == before
    assert not (data / "gitdeploy").exists()


@pytest.mark.parametrize("mask", ["000", "077"])
def test_odd_places(installer: Installer, prepared: Gogs, mask: str, open_path: Path) -> None:
    link = open_path / "a link"
    link.symlink_to(prepared.data.rename(open_path / "data with spaces; $(touch pwned)"))
    shell = ["sh", "-c", f'cd "{open_path}" && umask {mask} && exec "$@"', "sh"]
    environ = {"IFS": "/t", "LC_ALL": "xx_YY", "CDPATH": "/tmp", "HOME": "/nonexistent"}
    installer.environ.update(environ)
    installer.install(Path("a link"), *APP, prefix=shell)
    home = link.resolve() / "gitdeploy"
    assert stat.S_IMODE((home / "bin/gitdeploy").stat().st_mode) == 0o755
    assert stat.S_IMODE((home / "config.toml").stat().st_mode) == 0o600
    subprocess.run([*prepared.as_owner(), link / "gitdeploy/bin/gitdeploy", "status"], check=True, capture_output=True)
    assert not (open_path / "pwned").exists()


def test_command_line_through_a_link(installer: Installer, prepared: Gogs, open_path: Path) -> None:
    installer.install(prepared.data, *APP)
    (open_path / "gitdeploy").symlink_to(prepared.data / "gitdeploy/bin/gitdeploy")
    said = subprocess.run([open_path / "gitdeploy", "status"], check=True, capture_output=True, text=True, cwd="/").stdout
    assert "devops/dev-app" in said


def test_two_at_once(installer: Installer, gogs: Gogs) -> None:
    images = {"devops/dev-app": "test/dev-app", "devops/other": "test/other"}
    common = ("--data", gogs.data, "--wheels", installer.wheels)
    started = [installer.start(*common, "--repo", name, "--image", image) for name, image in images.items()]
    for process in started:
        text, _ = process.communicate(timeout=240)
        assert process.returncode == 0, text
    config = tomllib.loads((gogs.data / "gitdeploy/config.toml").read_text())
    assert {name: app["image"] for name, app in config["apps"].items()} == images
    subprocess.run([gogs.data / "gitdeploy/bin/gitdeploy", "status"], check=True, capture_output=True)
