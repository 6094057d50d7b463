"""What a release keeps in a VOLUME of its image is there for the next one, or the next one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from gitdeploy.config.attachments import Volume
from gitdeploy.errors import StageFailed
from tests.support.images import BaseImages
from tests.support.net import get
from tests.support.params import sample
from tests.targets.docker.rollout.conftest import build
from tests.targets.docker.rollout.site import Site

DOCKERFILE = 'FROM {base}\nCOPY server.py /server.py\nVOLUME /data\nCMD ["python3", "-u", "/server.py"]\n'


@pytest.fixture
def keeping(site: Site, docker_client: docker.DockerClient, base_images: BaseImages) -> Iterator[Site]:
    """An app whose image has a VOLUME, and whose first release has written something there."""
    files = {"server.py": Path(__file__).with_name("server.py")}
    site.image = build(
        docker_client, DOCKERFILE.format(base=base_images.python), files, f"gitdeploy-test/{site.app.container}:1"
    )
    site.configure(strategy="recreate", health=replace(site.app.health, start_period=1.0))
    site.deploy("1")
    write(site, "kept")
    yield site
    for container in site.containers():
        site.engine.remove(container.id, force=True)
    docker_client.images.remove(site.image, force=True)


def write(site: Site, text: str) -> None:
    code, _ = site.engine.exec(site.containers()[0].id, ["sh", "-c", f"echo {text} >/data/file"])
    assert code == 0


def read(site: Site) -> str:
    _, output = site.engine.exec(site.containers()[0].id, ["cat", "/data/file"])
    return output.decode().strip()


def volumes(client: docker.DockerClient) -> set[str]:
    return {str(volume.id) for volume in client.volumes.list()}


def test_recreate_takes_it_along_again_and_again(keeping: Site, docker_client: docker.DockerClient) -> None:
    before = volumes(docker_client)
    for version in ("2", "3"):
        keeping.deploy(version)
        assert (get(keeping.url), read(keeping)) == (version, "kept")
    assert volumes(docker_client) == before
    assert "/data stays as it is (volume " in keeping.output.text


def test_a_failed_deployment_leaves_it(keeping: Site, docker_client: docker.DockerClient) -> None:
    before = volumes(docker_client)
    with pytest.raises(StageFailed):
        keeping.deploy("2", PORTS="")
    assert (get(keeping.url), read(keeping)) == ("1", "kept")
    assert volumes(docker_client) == before


@pytest.mark.parametrize("strategy", sample(["rolling", "blue-green", "canary"], "rolling"))
def test_two_releases_side_by_side_need_a_name_for_it(strategy: str, keeping: Site) -> None:
    keeping.configure(strategy=strategy)
    with pytest.raises(StageFailed, match="may keep data in /data, a VOLUME of its image without a name") as caught:
        keeping.deploy("2")
    assert f'volumes = ["{keeping.app.container}-data:/data"]' in caught.value.hint
    assert (get(keeping.url), read(keeping)) == ("1", "kept")


def test_with_a_name_they_share_it(keeping: Site, docker_client: docker.DockerClient) -> None:
    name = f"{keeping.app.container}-data"
    keeping.configure(strategy="blue-green", volumes=(Volume(name, "/data"),))
    keeping.deploy("2")
    write(keeping, "shared")
    keeping.deploy("3")
    assert (get(keeping.url), read(keeping)) == ("3", "shared")
    for container in keeping.containers():
        keeping.engine.remove(container.id, force=True)
    docker_client.volumes.get(name).remove()
