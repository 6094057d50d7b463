"""`gitdeploy enrol --all` on a server whose repositories have a history: no oddity of one keeps another from being enrolled."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitdeploy.config.load import load_config
from gitdeploy.gitserver.hookconf import enrolled_apps
from tests.support import gogs
from tests.support.installed import Installed, install

EVERY = ("enrol", "--all", "--image", "r.example/{owner}/{repo}")


@pytest.fixture
def server(tmp_path: Path) -> Installed:
    """An installation without an engine, beside repositories of all kinds."""
    made = gogs.create(tmp_path / "data")
    for name in ("devops/app", "devops/x", "x/x", "devops/last"):
        made.create_repository(name)
    sha256 = made.repository("devops/sha")
    subprocess.run(["git", "init", "--quiet", "--bare", "--object-format=sha256", sha256], check=True)
    return install(made, {"DOCKER_HOST": "unix:///nonexistent/docker.sock"})


def test_renamed_ones_short_names_and_sha256(server: Installed) -> None:
    done = server.run(*EVERY)
    assert "devops/sha: left out, its SHA-256 object ids cannot be read" in done.stdout
    apps = load_config(server.home / "config.toml").apps
    assert {name: app.container for name, app in apps.items()} == {
        "devops/app": "app",
        "devops/last": "last",
        "devops/x": "devops-x",
        "x/x": "x-x",
    }
    moved = server.gogs.rename_repository("devops/app", "devops/renamed")
    done = server.run(*EVERY)
    assert "devops/renamed: enrolled as devops/app; to call it as its repository: gitdeploy rename devops/app" in done.stdout
    assert enrolled_apps(moved) == ("devops/app",)
    assert sorted(load_config(server.home / "config.toml").apps) == sorted(apps)


def test_one_that_cannot_be_read_is_refused_by_name_and_told_by_doctor(server: Installed) -> None:
    done = server.run("enrol", "devops/sha", "--image", "r.example/sha", check=2)
    assert "uses SHA-256 object ids, which gitdeploy cannot read" in done.stderr
    assert "git init --object-format=sha1" in done.stderr
    assert not (server.home / "config.toml").exists() or "devops/sha" not in (server.home / "config.toml").read_text()
    (server.home / "config.toml").write_text('[apps."devops/sha"]\nimage = "r.example/sha"\n')
    assert "devops/sha uses SHA-256" in server.run("doctor", check=None).stdout.replace("sha.git", "sha")


def test_a_root_that_was_not_made_yet(tmp_path: Path) -> None:
    made = gogs.create(tmp_path / "data")
    (made.data / "git/gogs-repositories").rmdir()
    site = install(made, {"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert "are enrolled by their first push" in site.run(*EVERY).stdout
    assert "is not there yet" in site.run("doctor", check=None).stdout
