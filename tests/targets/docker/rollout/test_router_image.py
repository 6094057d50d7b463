"""Which image a router is made of: what routers run already, however the tag moved since."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import docker
import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App
from gitdeploy.doctor.routers import examine_routers
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP, ROLE
from gitdeploy.targets.router.container import IMAGE, require_image
from tests.support.fake_engine import FakeEngine
from tests.support.images import BaseImages
from tests.support.net import free_port as find_free_port
from tests.support.net import get
from tests.targets.docker.rollout.site import Lines, Site

Tag = Callable[[str], str]


@pytest.fixture
def name() -> str:
    """A repository for HAProxy images of this test."""
    return f"gitdeploy-test/router-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def tag(docker_client: docker.DockerClient, base_images: BaseImages, name: str) -> Iterator[Tag]:
    """Gives a tag to an image made anew; returns that image's id."""
    made: list[str] = []

    def tag(reference: str) -> str:
        container = docker_client.api.create_container(base_images.haproxy)["Id"]
        image = docker_client.api.commit(container, changes=[f'LABEL number="{len(made)}"'])["Id"]
        docker_client.api.remove_container(container)
        docker_client.api.tag(image, *reference.rsplit(":", 1))
        made.append(image)
        return str(image)

    yield tag
    for container in docker_client.containers.list(all=True, filters={"label": f"{IMAGE}"}):
        if container.labels[IMAGE].startswith(name):
            container.remove(force=True)
    for image in made:
        docker_client.api.remove_image(image, force=True)


@pytest.fixture
def moved(site: Site, name: str, tag: Tag) -> tuple[Site, str, str]:
    """The app with release 1 live, whose router's tag names another image by now; the ids of both."""
    first = tag(f"{name}:1")
    site.configure(router=replace(site.app.router, image=f"{name}:1"))
    site.deploy("1", PORTS="80")
    assert site.router().image == first
    return site, first, tag(f"{name}:1")


def test_a_new_router_is_made_of_the_image_that_the_old_one_ran(moved: tuple[Site, str, str]) -> None:
    site, first, _ = moved
    old = site.router()
    site.deploy("2")
    assert site.router().id == old.id, "a moved tag is no reason for a new router"
    site.configure(publish=(Publish("", site.port, 81), Publish("127.0.0.1", find_free_port(), 80)))
    site.deploy("3", PORTS="80,81")
    assert site.router().id != old.id
    assert site.router().image == first
    assert get(site.url) == "3"


def test_doctor_tells_of_it(moved: tuple[Site, str, str]) -> None:
    site, first, second = moved
    (finding,) = [f for f in examine_routers(site.engine) if site.app.name in f.found]
    assert (finding.level, finding.check) == ("warning", "router")
    assert f"{site.app.router.image} is now {second[:19]}" in finding.found
    assert f"run {first[:19]}" in finding.found
    image = site.engine.image(second)
    assert image
    if not image.digests:  # it never saw a registry, and this engine's ids are no digests
        assert "name that in router.image" in finding.fix
        return
    (proposed,) = re.findall('router.image = "(.*)"', finding.fix)
    site.configure(router=replace(site.app.router, image=proposed))
    site.deploy("2", PORTS="80")
    assert site.router().image == second
    assert get(site.url) == "2"


def test_another_name_in_the_configuration_takes_the_other_image(
    moved: tuple[Site, str, str], name: str, docker_client: docker.DockerClient
) -> None:
    site, _, second = moved
    docker_client.api.tag(second, name, "2")
    site.configure(router=replace(site.app.router, image=f"{name}:2"))
    site.deploy("2", PORTS="80")
    assert site.router().image == second
    assert f"the router's image {name}:2 is {second[:19]}" in site.output.text
    assert [f for f in examine_routers(site.engine) if site.app.name in f.found] == []


APP_A = App("o/a", "o/a", "a", publish=(Publish("", 1, 80),))
NAME = APP_A.router.image


def router(engine: FakeEngine, app: str, image: str, name: str = NAME) -> None:
    labels = {APP: app, ROLE: "router", IMAGE: name}
    engine.create(ContainerSpec(f"{app.replace('/', '-')}.router", image, labels=labels))


@pytest.mark.parametrize(
    ("own", "others", "expected", "said"),
    [
        ((), (), "now", "is now"),
        (("old", NAME), (), "old", ""),
        ((), ("old", NAME), "old", ""),
        (("old", "haproxy:2"), (), "now", "is now"),
        (("old", NAME), ("other", NAME), "old", ""),
        (("old", "haproxy:2"), ("other", NAME), "other", ""),
        (("gone", NAME), (), "now", "no longer on the engine"),
        (("gone", NAME), ("other", NAME), "other", ""),
    ],
)
def test_what_is_chosen(own: tuple[str, str], others: tuple[str, str], expected: str, said: str) -> None:
    engine, output = FakeEngine(), Lines()
    ids = {key: engine.add_image(f"{key}:1") for key in ("old", "other", "gone")}
    ids["now"] = engine.add_image(NAME)
    for app, made in (("o/a", own), ("o/b", others)):
        if made:
            router(engine, app, ids[made[0]], made[1])
    engine.lose_image(ids["gone"])
    chosen = require_image(engine, APP_A, engine.containers({APP: "o/a"}), lambda _: None, output)
    assert {key for key, image in ids.items() if image == chosen} == {expected}
    assert said.replace("now", ids["now"][:10]) in output.text
    assert bool(said) == bool(output.lines)


def test_no_image_at_all() -> None:
    with pytest.raises(StageFailed, match="missing and cannot be pulled"):
        require_image(FakeEngine(), APP_A, [], lambda _: None, Lines())
