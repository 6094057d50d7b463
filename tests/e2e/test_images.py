"""The images of releases: whatever moves a tag, and wherever an engine keeps images, a release keeps its own."""

from __future__ import annotations

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.images import BaseImages
from tests.support.params import sample


def files(code: str, command: str = '["python3", "app.py"]') -> dict[str, str | bytes | None]:
    """A tree that is told from others by what /env/CODE answers."""
    dockerfile = f"FROM gitdeploy-test/python:1\nENV CODE={code}\nWORKDIR /app\nCOPY . .\nEXPOSE 80\nCMD {command}\n"
    return {"Dockerfile": dockerfile}


@pytest.mark.parametrize("builder", sample(["buildkit", "classic"], "buildkit"))
def test_one_version_of_two_trees_is_two_releases(app: Deployable, builder: str) -> None:
    """BuildKit's exporter moves a tag; with the containerd image store, an image without any tag is collected at once."""
    app.site.configure(f'build = {{ engine = "{builder}" }}\n')
    app.clone.release("0.2.0", files("A"))
    assert "0.2.0 is live" in app.clone.push(app.remote).text
    app.clone.release("0.2.0", files("B"))
    assert "0.2.0 is live" in app.clone.push(app.remote).text
    assert app.get("/env/CODE") == "B"
    assert [d["kept"] for d in app.site.history(app.name)] == ["engine", "engine"]
    assert "0.2.0 is live" in app.site.run("rollback", app.name).stdout
    assert app.get("/env/CODE") == "A"


@pytest.mark.parametrize("builder", sample(["buildkit", "classic"], "buildkit"))
def test_a_failure_under_the_live_version_harms_nothing(
    app: Deployable, docker_client: docker.DockerClient, builder: str
) -> None:
    app.site.configure(f'build = {{ engine = "{builder}" }}\n')
    app.clone.release("0.2.0", files("A"))
    assert "0.2.0 is live" in app.clone.push(app.remote).text
    for broken in (files("B", '["false"]'), {"Dockerfile": "FROM gitdeploy-test/python:1\nRUN exit 3\n"}):
        app.clone.release("0.2.0", broken)
        assert "0.2.0 FAILED" in app.clone.push(app.remote).text
        assert app.get("/env/CODE") == "A"
    image = docker_client.containers.get(app.container).attrs["Image"]
    again = docker_client.containers.run(image, ["sh", "-c", "echo $CODE"], remove=True)
    assert again == b"A\n"
    app.clone.release("0.3.0", files("C"))
    assert "0.3.0 is live" in app.clone.push(app.remote).text
    assert "0.2.0 is live" in app.site.run("rollback", app.name).stdout
    assert app.get("/env/CODE") == "A"


def test_a_release_is_kept_whatever_a_person_does_to_public_tags(
    app: Deployable, docker_client: docker.DockerClient, base_images: BaseImages
) -> None:
    for version, code in (("1", "A"), ("2", "B")):
        app.clone.release(version, files(code))
        assert f"{version} is live" in app.clone.push(app.remote).text
    docker_client.images.remove(f"{app.image}:1")
    docker_client.images.get(base_images.busybox).tag(f"{app.image}:2")
    docker_client.images.prune(filters={"dangling": True})
    assert [d["kept"] for d in app.site.history(app.name)] == ["engine", "engine"]
    assert "1 is live" in app.site.run("rollback", app.name).stdout
    assert app.get("/env/CODE") == "A"
    docker_client.images.remove(f"{app.image}:2")
