"""After `enrol --all`, a repository that is made later is enrolled by its first push; a fork is not."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support import guards
from tests.support.apps import SampleApp
from tests.support.installed import Installed


@pytest.fixture
def all_enrolled(app: Deployable, registry: object, monkeypatch: pytest.MonkeyPatch) -> Deployable:
    """An installation with all repositories enrolled, whose git runs as Gogs' does: with its home directory below DIR."""
    home = app.site.gogs.data / "git"
    image = app.image.removesuffix(app.name) + "{owner}/{repo}"
    assert "from now on" in app.site.run("enrol", "--all", "--image", image).stdout
    monkeypatch.setenv("HOME", str(home))
    with (home / ".gitconfig").open("a") as file:
        file.write("[user]\n\tname = Gogs\n\temail = gogs@example.com\n[safe]\n\tdirectory = *\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    return app


def test_the_first_push_enrols_and_deploys(
    all_enrolled: Deployable, sample_app: SampleApp, docker_client: docker.DockerClient
) -> None:
    site, name = all_enrolled.site, f"{all_enrolled.name}-later"
    try:
        repository = site.gogs.create_repository(name)
        sample_app.release("1.0.0")
        push = sample_app.push(site.gogs.local(name))
        assert f"{name} 1.0.0 is live" in push.text, push.text
        assert f"app {name}\n" in (repository / "gitdeploy.conf").read_text()
        assert (repository / "hooks/reference-transaction").exists()
        sample_app.release("1.0.1")
        assert "1.0.1 is live" in sample_app.push(site.gogs.local(name), options=["gitdeploy.no-cache"]).text
        assert [(d["trigger"], d["status"]) for d in site.history(name)] == [("push", "succeeded")] * 2
    finally:
        guards.remove_app(docker_client, name)


def test_a_fork_deploys_nothing_and_says_nothing(all_enrolled: Deployable, sample_app: SampleApp) -> None:
    gogs = all_enrolled.site.gogs
    sample_app.release("1.0.0")
    assert "1.0.0 is live" in sample_app.push(all_enrolled.remote).text
    name = f"bob/{all_enrolled.name.partition('/')[2]}"
    fork = gogs.create_repository(name)
    with (fork / "config").open("a") as file:  # as ForkRepository's `git clone --bare` leaves it
        file.write(f'[remote "origin"]\n\turl = {gogs.repository(all_enrolled.name)}\n')
    sample_app.release("1.0.1")
    push = sample_app.push(gogs.local(name))
    assert push.code == 0
    assert "gitdeploy" not in push.text
    assert all_enrolled.get() == "dev-app 1.0.0"


def test_one_that_would_take_the_container_of_another_app_is_refused(all_enrolled: Deployable, sample_app: SampleApp) -> None:
    site, container = all_enrolled.site, all_enrolled.container
    name = f"bob/{container}"
    site.gogs.create_repository(name)
    config = (site.home / "config.toml").read_text()
    sample_app.release("1.0.0")
    push = sample_app.push(site.gogs.local(name))
    assert f'"{container}" is already the container of {all_enrolled.name}' in push.text
    assert f"gitdeploy enrol {name} --image" in push.text
    assert (site.home / "config.toml").read_text() == config


def test_removed_nothing_is_left_of_it(all_enrolled: Deployable) -> None:
    gogs = all_enrolled.site.gogs
    repository = gogs.create_repository(f"{all_enrolled.name}-later")
    all_enrolled.site.run("remove", "--all")
    assert not (gogs.data / "git/gitdeploy-template").exists()
    assert not (repository / "gitdeploy.conf").exists()
    assert not (repository / "custom_hooks").exists()
    made: Path = gogs.create_repository(f"{all_enrolled.name}-last")
    assert not (made / "gitdeploy.conf").exists()
    assert 'new_repositories = ""' in (all_enrolled.site.home / "config.toml").read_text()


def test_where_nothing_was_ever_enrolled_there_is_nothing_to_remove(installed: Installed) -> None:
    installed.gogs.create_repository("bob/tool")
    (installed.home / "config.toml").unlink(missing_ok=True)
    assert installed.run("remove", "--all").stdout == ""
    assert not (installed.home / "config.toml").exists()
