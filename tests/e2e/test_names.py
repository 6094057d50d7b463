"""Names: whatever a pusher calls a repository, a version or a volume, what is somebody else's stays theirs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import docker
import pytest

from gitdeploy.gitserver.hookconf import token_of
from tests.e2e.conftest import Deployable
from tests.support import guards
from tests.support.apps import SampleApp
from tests.support.gogs import Remote
from tests.support.images import BaseImages
from tests.support.installed import Installed
from tests.support.registry import Registry

Names = dict[str, str]


def names(client: docker.DockerClient, beginning: str) -> Names:
    """The names of images that begin so → the image's id."""
    return {tag: str(image.id) for image in client.images.list() for tag in image.tags if tag.startswith(beginning)}


@pytest.fixture
def all_enrolled(app: Deployable) -> Deployable:
    """An installation in which the first push of a new repository enrols it."""
    image = app.image.removesuffix(app.name) + "{owner}/{repo}"
    app.site.run("enrol", "--all", "--image", image)
    return app


@pytest.fixture
def newcomer(all_enrolled: Deployable, docker_client: docker.DockerClient) -> Iterator[str]:
    """The name of a repository that was made as Gogs makes it, with the hook from the template."""
    name = f"{all_enrolled.name}-new"
    repository = all_enrolled.site.gogs.create_repository(name)
    template = all_enrolled.site.gogs.data / "git/gitdeploy-template"
    shutil.copytree(template, repository, dirs_exist_ok=True)
    yield name
    guards.remove_app(docker_client, name)


def test_a_refused_push_leaves_every_tag_as_it_was(
    installed: Installed,
    sample_app: SampleApp,
    registry_auth: Registry,
    base_images: BaseImages,
    docker_client: docker.DockerClient,
    app_name: str,
    free_port: int,
) -> None:
    image = f"{registry_auth.host}/{app_name}"
    installed.enrol(app_name, image, free_port, "push = { enabled = false }\n", container=app_name.replace("/", "-"))
    remote = installed.gogs.local(app_name)
    sample_app.release("1")
    assert "1 is live" in sample_app.push(remote).text
    before = names(docker_client, image)
    assert set(before) == {f"{image}:1", f"{image}:latest"}
    config = installed.home / "config.toml"
    config.write_text(config.read_text().replace("enabled = false", "enabled = true"))  # nobody is logged in there
    commit = sample_app.release("2")
    assert "FAILED at Push" in sample_app.push(remote).text
    assert names(docker_client, image) == before
    assert "already built" in installed.run("deploy", app_name, commit, check=1).stdout
    assert names(docker_client, image) == before
    own = names(docker_client, f"gitdeploy.local/{app_name}:")
    assert not [name for name in own if ":pending-" in name or ":was-" in name]
    assert len(set(own.values())) == 2


def test_no_tag_is_taken_from_an_image_that_is_not_the_apps(
    newcomer: str, all_enrolled: Deployable, sample_app: SampleApp, base_images: BaseImages, docker_client: docker.DockerClient
) -> None:
    tag = f"{all_enrolled.image}-new:2"
    canary = docker_client.images.get(base_images.busybox)
    canary.tag(tag)
    try:
        sample_app.release("2")
        push = sample_app.push(all_enrolled.site.gogs.local(newcomer))
        assert "FAILED at Build" in push.text
        assert f"{tag} names an image on this engine that gitdeploy did not build" in push.text
        assert "set another `image`" in push.text
        assert docker_client.images.get(tag).id == canary.id
        assert not names(docker_client, f"gitdeploy.local/{newcomer}:")  # not even built
    finally:
        docker_client.images.remove(tag)


def test_a_new_repository_takes_nobodys_container(
    newcomer: str, all_enrolled: Deployable, sample_app: SampleApp, base_images: BaseImages, docker_client: docker.DockerClient
) -> None:
    name = newcomer.partition("/")[2]
    canary = docker_client.containers.run(base_images.busybox, ["sleep", "600"], name=name, detach=True)
    try:
        sample_app.release("1")
        push = sample_app.push(all_enrolled.site.gogs.local(newcomer))
        assert f"the container {name} ({base_images.busybox}) is not gitdeploy's to take" in push.text
        canary.reload()
        assert (canary.name, canary.status) == (name, "running")
        assert "adopt = false" in (all_enrolled.site.home / "config.toml").read_text()
    finally:
        canary.remove(force=True)


def test_what_commands_the_engine_is_never_adopted(
    app: Deployable, base_images: BaseImages, docker_client: docker.DockerClient
) -> None:
    volumes = {"/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "ro"}}
    canary = docker_client.containers.create(base_images.busybox, ["true"], name=app.container, volumes=volumes)
    try:
        app.clone.release("1")
        assert "is not gitdeploy's to take: it commands this engine" in app.clone.push(app.remote).text
        assert docker_client.containers.get(app.container).id == canary.id
    finally:
        canary.remove(force=True)


def test_a_tree_gets_no_volume_and_no_network_of_others(
    app: Deployable, base_images: BaseImages, docker_client: docker.DockerClient
) -> None:
    app.site.configure('allow = ["volumes", "networks"]\n')
    volume = f"{app.container}-secrets"
    canary = docker_client.containers.create(base_images.busybox, ["true"], volumes={volume: {"bind": "/x", "mode": "rw"}})
    network = docker_client.networks.create(f"gitdeploy.{app.container}-other", labels={"gitdeploy.app": "lab/other"})
    internal = docker_client.networks.create(f"{app.container}-compose_internal", internal=True)
    own = docker_client.networks.create(f"{app.container}-own", labels={"gitdeploy.app": app.name})
    try:
        app.clone.release("1", {"gitdeploy.toml": f'volumes = ["{volume}:/stolen"]\n'})
        assert f"the volume {volume} was there before, and was not made for {app.name}" in app.clone.push(app.remote).text
        for spelling in (network.id[:12], str(network.name).upper()):
            app.clone.release("2", {"gitdeploy.toml": f'networks = ["{spelling}"]\n'})
            assert f"there is no network {spelling}" in app.clone.push(app.remote).text
        app.clone.release("2", {"gitdeploy.toml": f'networks = ["{internal.name}"]\n'})
        assert f"the network {internal.name} was not made for {app.name}" in app.clone.push(app.remote).text
        table = f'volumes = ["{app.container}-data:/data"]\nnetworks = ["{own.name}"]\n'
        app.clone.release("3", {"gitdeploy.toml": table})
        assert "3 is live" in app.clone.push(app.remote).text
        app.clone.release("4", {"gitdeploy.toml": f'volumes = ["{app.container}-data:/data"]\n'})
        assert "4 is live" in app.clone.push(app.remote).text
    finally:
        canary.remove(force=True)
        docker_client.volumes.get(volume).remove()
        guards.remove_app(docker_client, app.name)
        for made in (network, internal):  # the app's own went with the app
            made.remove()
        docker_client.volumes.get(f"{app.container}-data").remove()


def test_a_deleted_repositorys_table_is_not_for_whoever_makes_it_again(all_enrolled: Deployable) -> None:
    site, name = all_enrolled.site, all_enrolled.name
    all_enrolled.clone.release("1")
    assert "1 is live" in all_enrolled.clone.push(all_enrolled.remote).text
    old = site.gogs.repository(name)
    shutil.rmtree(old)
    made = site.gogs.create_repository(name)
    shutil.copytree(site.gogs.data / "git/gitdeploy-template", made, dirs_exist_ok=True)
    assert not token_of(made)
    all_enrolled.clone.release("2")
    push = all_enrolled.clone.push(all_enrolled.remote, "+HEAD:main")
    assert f"{made} is another repository than the one that was enrolled as {name}" in push.text
    assert f"gitdeploy enrol {name}" in push.text
    assert all_enrolled.get() == "dev-app 1"
    again = site.run("enrol", "--all", check=2)  # as an upgrade does
    assert "is another repository" in again.stderr
    assert not token_of(made)
    site.run("enrol", name)
    assert "2 is live" in site.run("deploy", name).stdout


def test_a_renamed_repository_keeps_its_app(app: Deployable) -> None:
    app.clone.release("1")
    app.clone.push(app.remote)
    repository = app.site.gogs.repository(app.name)
    renamed = repository.with_name(f"renamed-{repository.name}")
    repository.rename(renamed)
    app.clone.release("2")
    hooks = {"GOGS_REPO_CUSTOM_HOOKS_PATH": str(renamed / "custom_hooks")}
    assert "2 is live" in app.clone.push(Remote(str(renamed), {**app.remote.environ, **hooks})).text


def test_a_rollback_runs_what_it_names_or_fails(app: Deployable, docker_client: docker.DockerClient) -> None:
    for version in ("1", "2"):
        app.clone.release(version)
        app.clone.push(app.remote)
    assert [d["kept"] for d in app.site.history(app.name)] == ["engine", "engine"]
    docker_client.images.remove(docker_client.images.get(f"{app.image}:1").id, force=True)
    assert [d["kept"] for d in app.site.history(app.name)] == ["engine", "registry"]
    shown = app.site.run("history", app.name).stdout.splitlines()[1:]
    assert [line.split()[3:5] for line in shown] == [["2", "*"], ["1", "+"]], shown
    docker_client.images.get(f"{app.image}:2").tag(f"{app.image}:1")  # another tree's image under the old one's name
    back = app.site.run("rollback", app.name, "1").stdout
    assert f"the engine has lost this image: pulling {app.image}@sha256:" in back
    assert app.get() == "dev-app 1"


def test_a_rollback_to_an_image_that_is_gone_fails(app: Deployable, docker_client: docker.DockerClient) -> None:
    app.site.configure("push = { enabled = false }\n")
    for version in ("1", "2"):
        app.clone.release(version)
        app.clone.push(app.remote)
    assert [d["kept"] for d in app.site.history(app.name)] == ["engine", "engine"]
    docker_client.images.remove(docker_client.images.get(f"{app.image}:1").id, force=True)
    docker_client.images.get(f"{app.image}:2").tag(f"{app.image}:1")
    assert [d["kept"] for d in app.site.history(app.name)] == ["engine", "nowhere"]
    unreachable = replace(app.site, environ={**app.site.environ, "DOCKER_HOST": "unix:///nonexistent"})
    assert [d["kept"] for d in unreachable.history(app.name)] == ["unknown", "unknown"]
    failed = app.site.run("rollback", app.name, "1", check=1).stdout
    assert "cannot run again: its image is no longer on the engine" in failed
    assert app.get() == "dev-app 2"
