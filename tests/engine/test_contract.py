"""What every `Engine` does, asked of the real one and of the fake that fault tests use in its place."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import docker
import pytest

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.imagereference import split
from gitdeploy.config.sections import EMPTY
from gitdeploy.engine.client import connect
from gitdeploy.engine.ports import port_holder
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import EngineError, NotFound
from tests.support.fake_engine import FakeEngine, Run
from tests.support.images import BaseImages

SLEEP = ("sleep", "600")
FAIL = ("sh", "-c", "exit 3")
TALK = ("sh", "-c", "echo one; echo two >&2; echo three; exec sleep 600")

OWN = "gitdeploy.test"


@dataclass(frozen=True)
class Subject:
    """An engine, and what a test makes on it, all bearing the label `OWN` = `run`."""

    engine: Engine
    run: str
    make_image: Callable[..., str]
    count: Iterator[int]

    def name(self) -> str:
        return f"{self.run}-{next(self.count)}"

    def image(self, *tags: str, labels: Mapping[str, str] = EMPTY, **options: Any) -> str:
        """An image that sleeps; returns its id."""
        return self.make_image(*tags, labels={OWN: self.run, **labels}, **options)

    def spec(
        self, image: str, command: tuple[str, ...] = SLEEP, labels: Mapping[str, str] = EMPTY, **fields: Any
    ) -> ContainerSpec:
        return ContainerSpec(
            **{"name": self.name(), "image": image, "command": command, "labels": {OWN: self.run, **labels}, **fields}
        )

    def started(self, image: str, command: tuple[str, ...] = SLEEP, **fields: Any) -> str:
        container = self.engine.create(self.spec(image, command, **fields))
        self.engine.start(container)
        return container

    def clean_up(self) -> None:
        for container in self.engine.containers({OWN: self.run}):
            self.engine.remove(container.id, force=True)
        for network in self.engine.networks({OWN: self.run}):
            self.engine.remove_network(network)
        for image in self.engine.images({OWN: self.run}):
            self.engine.remove_image(image.id)


@pytest.fixture(params=["fake", "real"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    run = f"gdtest-{uuid.uuid4().hex[:8]}"
    if request.param == "fake":
        yield fake_subject(run)
        return
    client = request.getfixturevalue("docker_client")
    subject = real_subject(run, client, request.getfixturevalue("base_images"), request.getfixturevalue("engine_url"))
    yield subject
    subject.clean_up()
    subject.engine.close()
    for volume in client.volumes.list(filters={"name": run}):
        volume.remove()


def fake_subject(run: str) -> Subject:
    behaviour = {SLEEP: Run(), FAIL: Run(exit_code=3), TALK: Run(output=("one", "two", "three"))}
    engine = FakeEngine(behave=lambda spec: behaviour[spec.command or SLEEP])
    return Subject(engine, run, engine.add_image, itertools.count(1))


def real_subject(run: str, client: docker.DockerClient, base: BaseImages, url: str) -> Subject:
    def make_image(
        *tags: str, labels: Mapping[str, str] = EMPTY, ports: tuple[str, ...] = (), healthcheck: bool = False
    ) -> str:
        changes = [f'LABEL {key}="{value}"' for key, value in labels.items()]
        changes += [f"EXPOSE {port}" for port in ports]
        changes += ["HEALTHCHECK CMD true"] if healthcheck else []
        container = client.api.create_container(base.busybox, list(SLEEP))["Id"]
        try:
            image: str = client.api.commit(container, changes=changes)["Id"]
        finally:
            client.api.remove_container(container)
        for tag in tags:
            client.api.tag(image, *split(tag))
        return image

    return Subject(connect({"DOCKER_HOST": url}), run, make_image, itertools.count(1))


# images


def test_an_image_is_found_by_id_and_by_tag(subject: Subject) -> None:
    tag = f"gitdeploy-test/{subject.run}:1.0"
    id = subject.image(tag, labels={"kind": "web"}, ports=("80/tcp",), healthcheck=True)
    image = subject.engine.image(tag)
    assert image is not None
    assert image == subject.engine.image(id)
    assert (image.id, image.tags, image.ports, image.healthcheck) == (id, (tag,), ("80/tcp",), True)
    assert image.labels == {OWN: subject.run, "kind": "web"}
    assert image.size > 0


def test_an_image_without_ports_and_healthcheck_says_so(subject: Subject) -> None:
    image = subject.engine.image(subject.image())
    assert image is not None
    assert (image.tags, image.ports, image.healthcheck) == ((), (), False)


@pytest.mark.parametrize("ref", ["gdtest-no/such:1", f"sha256:{'0' * 64}"])
def test_an_unknown_image_is_none(subject: Subject, ref: str) -> None:
    assert subject.engine.image(ref) is None
    assert subject.engine.remove_image(ref) is False


def test_images_are_found_by_label_newest_first(subject: Subject) -> None:
    first = subject.image(f"gitdeploy-test/{subject.run}:1.0", labels={"tree": "a"})
    second = subject.image(f"gitdeploy-test/{subject.run}:1.1", labels={"tree": "b"})
    third = subject.image(labels={"tree": "a"})

    def found(labels: Mapping[str, str]) -> list[str]:
        return [image.id for image in subject.engine.images({OWN: subject.run, **labels})]

    assert found({}) == [third, second, first]
    assert found({"tree": ""}) == [third, second, first]
    assert found({"tree": "a"}) == [third, first]
    assert found({"tree": "c"}) == []
    assert found({"other": ""}) == []


def test_a_tag_moves_to_the_image_that_gets_it(subject: Subject) -> None:
    latest = f"gitdeploy-test/{subject.run}:latest"
    old, new = subject.image(latest), subject.image(f"gitdeploy-test/{subject.run}:2")
    subject.engine.tag(f"gitdeploy-test/{subject.run}:2", latest)
    found, before = subject.engine.image(new), subject.engine.image(old)
    assert found is not None
    assert before is not None
    assert set(found.tags) == {latest, f"gitdeploy-test/{subject.run}:2"}
    assert before.tags == ()


def test_tagging_an_unknown_image_is_not_found(subject: Subject) -> None:
    with pytest.raises(NotFound):
        subject.engine.tag("gdtest-no/such:1", f"gitdeploy-test/{subject.run}:1")


def test_removing_a_tag_leaves_the_other(subject: Subject) -> None:
    one, two = f"gitdeploy-test/{subject.run}:1", f"gitdeploy-test/{subject.run}:2"
    id = subject.image(one, two)
    assert subject.engine.remove_image(one) is True
    left = subject.engine.image(id)
    assert left is not None
    assert left.tags == (two,)
    assert subject.engine.remove_image(two) is True
    assert subject.engine.image(id) is None


def test_removing_by_id_removes_all_tags(subject: Subject) -> None:
    id = subject.image(f"gitdeploy-test/{subject.run}:1", f"gitdeploy-test/{subject.run}:2")
    assert subject.engine.remove_image(id) is True
    assert subject.engine.image(id) is None
    assert subject.engine.image(f"gitdeploy-test/{subject.run}:1") is None


def test_an_image_in_use_keeps_its_tags(subject: Subject) -> None:
    tags = (f"gitdeploy-test/{subject.run}:1", f"gitdeploy-test/{subject.run}:2")
    id = subject.image(*tags)
    subject.engine.create(subject.spec(id))
    with pytest.raises(EngineError) as raised:
        subject.engine.remove_image(id)
    assert raised.value.status == 409
    image = subject.engine.image(id)
    assert image is not None
    assert set(image.tags) == set(tags)


def test_the_last_tag_of_an_image_in_use_cannot_be_removed(subject: Subject) -> None:
    tag = f"gitdeploy-test/{subject.run}:1"
    subject.started(subject.image(tag))
    with pytest.raises(EngineError) as raised:
        subject.engine.remove_image(tag)
    assert raised.value.status == 409
    assert subject.engine.image(tag) is not None


# containers


def test_a_created_container_has_what_was_asked_for(subject: Subject, free_port: int) -> None:
    tag = f"gitdeploy-test/{subject.run}:1"
    id = subject.image(tag, labels={"from": "image"})
    publish = (Publish("127.0.0.1", free_port, 80), Publish("", free_port + 1, 53, "udp"))
    volumes = (Volume("/tmp", "/host", read_only=True), Volume(subject.run, "/data"))
    spec = subject.spec(tag, labels={"from": "spec"}, publish=publish, volumes=volumes, restart="on-failure:3")
    container = subject.engine.container(subject.engine.create(spec))
    assert container is not None
    assert container == subject.engine.container(spec.name)
    assert (container.name, container.image, container.image_ref) == (spec.name, id, tag)
    assert (container.state, container.running, container.started) == ("created", False, "")
    assert container.labels == {OWN: subject.run, "from": "spec"}
    assert set(container.publish) == set(publish)
    assert set(container.mounts) == set(volumes)
    assert (container.restart, container.restarts, container.exit_code) == ("on-failure:3", 0, 0)
    assert (container.health, container.health_log, container.addresses) == ("", (), {})


def test_the_plainest_container(subject: Subject) -> None:
    container = subject.engine.container(subject.engine.create(subject.spec(subject.image())))
    assert container is not None
    assert (container.restart, container.publish, container.mounts) == ("no", (), ())


def test_an_unknown_container_is_none(subject: Subject) -> None:
    assert subject.engine.container(f"{subject.run}-none") is None
    assert subject.engine.remove(f"{subject.run}-none") is False


@pytest.mark.parametrize("call", ["start", "stop", "logs", "wait", "rename", "signal", "exec", "set_restart"])
def test_calls_on_an_unknown_container_are_not_found(subject: Subject, call: str) -> None:
    more = {"logs": (5,), "wait": (0.1,), "rename": ("x",), "signal": ("HUP",), "exec": (["true"],), "set_restart": ("no",)}
    with pytest.raises(NotFound):
        getattr(subject.engine, call)(f"{subject.run}-none", *more.get(call, ()))


def test_a_taken_name_is_refused(subject: Subject) -> None:
    id = subject.image()
    spec = subject.spec(id)
    subject.engine.create(spec)
    with pytest.raises(EngineError) as raised:
        subject.engine.create(spec)
    assert raised.value.status == 409
    assert spec.name in raised.value.reason


def test_a_container_of_an_unknown_image_is_not_found(subject: Subject) -> None:
    with pytest.raises(NotFound):
        subject.engine.create(subject.spec("gdtest-no/such:1"))


def test_a_container_for_an_unknown_network_leaves_nothing(subject: Subject) -> None:
    there, missing = subject.name(), f"{subject.run}-none"
    subject.engine.ensure_network(there, {OWN: subject.run})
    image = subject.image()
    for networks in ((missing,), (there, missing)):
        with pytest.raises(NotFound, match=missing):
            subject.engine.create(subject.spec(image, networks=networks))
    assert subject.engine.containers({OWN: subject.run}) == []


def test_start_and_stop(subject: Subject) -> None:
    id = subject.started(subject.image())
    running = subject.engine.container(id)
    assert running is not None
    assert (running.state, running.running) == ("running", True)
    assert list(running.addresses) == ["bridge"]
    assert running.started
    subject.engine.start(id)
    assert subject.engine.container(id) == running
    subject.engine.stop(id, 0)
    stopped = subject.engine.container(id)
    assert stopped is not None
    assert (stopped.state, stopped.running, stopped.exit_code, stopped.addresses) == ("exited", False, 137, {})
    subject.engine.stop(id, 0)
    assert subject.engine.container(id) == stopped


def test_wait_returns_the_exit_code(subject: Subject) -> None:
    id = subject.started(subject.image(), FAIL)
    assert subject.engine.wait(id, 20) == 3
    ended = subject.engine.container(id)
    assert ended is not None
    assert (ended.state, ended.exit_code) == ("exited", 3)


def test_wait_gives_up(subject: Subject) -> None:
    assert subject.engine.wait(subject.started(subject.image()), 0.2) is None


def test_a_running_container_is_removed_by_force_only(subject: Subject) -> None:
    id = subject.started(subject.image())
    with pytest.raises(EngineError) as raised:
        subject.engine.remove(id)
    assert raised.value.status == 409
    assert subject.engine.remove(id, force=True) is True
    assert subject.engine.remove(id, force=True) is False
    assert subject.engine.container(id) is None


def test_rename(subject: Subject) -> None:
    image = subject.image()
    one, two = subject.spec(image), subject.spec(image)
    id = subject.engine.create(one)
    subject.engine.create(two)
    with pytest.raises(EngineError) as raised:
        subject.engine.rename(id, two.name)
    assert raised.value.status == 409
    new = subject.name()
    subject.engine.rename(id, new)
    assert subject.engine.container(one.name) is None
    renamed = subject.engine.container(new)
    assert renamed is not None
    assert renamed.id == id


def test_a_port_held_by_another_container(subject: Subject, free_port: int) -> None:
    image, publish = subject.image(), Publish("", free_port, 80)
    holder = subject.started(image, publish=(publish,))
    second = subject.engine.create(subject.spec(image, publish=(publish,)))
    with pytest.raises(EngineError, match=f"host port {free_port} is already taken by another container"):
        subject.engine.start(second)
    waiting = subject.engine.container(second)
    assert waiting is not None
    assert (waiting.running, waiting.publish) == (False, (publish,))
    found = port_holder(subject.engine.containers({OWN: subject.run}, all=False), publish)
    assert found is not None
    assert found.id == holder
    subject.engine.stop(holder, 0)
    subject.engine.start(second)
    now = subject.engine.container(second)
    assert now is not None
    assert now.running


def test_containers_are_found_by_label_newest_first(subject: Subject) -> None:
    image = subject.image()
    first = subject.started(image, labels={"role": "app"})
    second = subject.engine.create(subject.spec(image, labels={"role": "router"}))
    third = subject.started(image, labels={"role": "app"})

    def found(labels: Mapping[str, str], *, all: bool = True) -> list[str]:
        return [container.id for container in subject.engine.containers({OWN: subject.run, **labels}, all=all)]

    assert found({}) == [third, second, first]
    assert found({}, all=False) == [third, first]
    assert found({"role": ""}) == [third, second, first]
    assert found({"role": "router"}) == [second]
    assert found({"role": "none"}) == []
    every = [container.id for container in subject.engine.containers({})]
    assert [id for id in every if id in {first, second, third}] == [third, second, first]
    assert subject.engine.containers({OWN: subject.run})[0] == subject.engine.container(third)


def test_set_restart(subject: Subject) -> None:
    id = subject.started(subject.image())
    for policy in ("unless-stopped", "on-failure:2", "no"):
        subject.engine.set_restart(id, policy)
        container = subject.engine.container(id)
        assert container is not None
        assert container.restart == policy


def test_signal(subject: Subject) -> None:
    id = subject.started(subject.image())
    subject.engine.signal(id, "KILL")
    assert subject.engine.wait(id, 20) == 137
    with pytest.raises(EngineError):
        subject.engine.signal(id, "HUP")


def test_logs_are_the_last_lines_of_both_streams(subject: Subject) -> None:
    id = subject.started(subject.image(), TALK)
    while len(subject.engine.logs(id, 10)) < 3:
        pass
    assert sorted(subject.engine.logs(id, 10)) == ["one", "three", "two"]
    assert [next(subject.engine.follow(id, 1))] == subject.engine.logs(id, 1)


def test_a_command_needs_a_running_container(subject: Subject) -> None:
    with pytest.raises(EngineError) as raised:
        subject.engine.exec(subject.engine.create(subject.spec(subject.image())), ["true"])
    assert raised.value.status == 409


# networks


def test_a_network_is_made_once(subject: Subject) -> None:
    name = subject.name()
    id = subject.engine.ensure_network(name, {OWN: subject.run})
    assert subject.engine.ensure_network(name, {OWN: subject.run}) == id
    assert subject.engine.networks({OWN: subject.run}) == [name]
    assert subject.engine.networks({OWN: ""}).count(name) == 1
    assert subject.engine.remove_network(name) is True
    assert subject.engine.remove_network(name) is False


def test_a_container_joins_and_leaves_networks(subject: Subject) -> None:
    one, two, three = (subject.name() for _ in range(3))
    for network in (one, two, three):
        subject.engine.ensure_network(network, {OWN: subject.run})
    id = subject.started(subject.image(), networks=(one, two), aliases=("app",))

    def joined() -> set[str]:
        container = subject.engine.container(id)
        assert container is not None
        assert all(container.addresses.values())
        return set(container.addresses)

    assert joined() == {one, two}
    subject.engine.connect(three, id, ["web"])
    assert joined() == {one, two, three}
    with pytest.raises(EngineError):
        subject.engine.connect(three, id)
    subject.engine.disconnect(one, id)
    assert joined() == {two, three}
    with pytest.raises(EngineError):
        subject.engine.remove_network(two)
    subject.engine.stop(id)
    stopped = subject.engine.container(id)
    assert stopped is not None
    assert (dict(stopped.addresses), set(stopped.networks)) == ({}, {two, three})
    subject.engine.remove(id, force=True)
    assert subject.engine.remove_network(two) is True


def test_joining_an_unknown_network_is_not_found(subject: Subject) -> None:
    image = subject.image()
    for container in (subject.started(image), subject.engine.create(subject.spec(image))):
        with pytest.raises(NotFound):
            subject.engine.connect(f"{subject.run}-none", container)


def test_a_container_joins_a_network_before_its_start(subject: Subject) -> None:
    name = subject.name()
    subject.engine.ensure_network(name, {OWN: subject.run})
    id = subject.engine.create(subject.spec(subject.image()))
    subject.engine.connect(name, id, ["app"])
    subject.engine.start(id)
    container = subject.engine.container(id)
    assert container is not None
    assert set(container.addresses) == {"bridge", name}
