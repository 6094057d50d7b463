"""Pushes and pulls between a real engine and real registries."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from gitdeploy.config.imagereference import split
from gitdeploy.engine.client import connect
from gitdeploy.engine.credentials import Logins, load
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.registries import Transfer
from gitdeploy.engine.types import NEVER
from gitdeploy.errors import Cancelled, RegistryError
from gitdeploy.pipeline.publish import publish
from tests.support import registry as registries
from tests.support import tcp_engine
from tests.support.images import BaseImages
from tests.support.net import free_port as find_free_port
from tests.support.recorder import Recorder
from tests.support.registry import Registry


def nobody(host: str) -> None:
    """Credentials for nobody."""


@pytest.fixture
def engine(engine_url: str) -> Iterator[DockerEngine]:
    engine = connect({"DOCKER_HOST": engine_url})
    yield engine
    engine.close()


@pytest.fixture
def image(docker_client: docker.DockerClient, base_images: BaseImages) -> Iterator[Callable[..., str]]:
    """Makes a new image of `size` bytes that no registry has, and tags it `host`/…; returns "repository:tag"."""
    made: list[str] = []

    def make(host: str, size: int = 1_000_000) -> str:
        ref = f"{host}/gitdeploy-test/{uuid.uuid4().hex[:8]}:1.0"
        fill = ["sh", "-c", f"head -c {size} /dev/urandom >/tmp/random"]
        container = docker_client.containers.run(base_images.busybox, fill, detach=True)
        try:
            container.wait()
            container.commit(*split(ref))
        finally:
            container.remove()
        made.append(ref)
        return ref

    yield make
    for ref in made:
        docker_client.images.remove(ref)


def login(directory: Path, config: str, environ: dict[str, str] | None = None) -> Logins:
    """The logins of a config.json with this content."""
    path = directory / "config.json"
    path.write_text(config)
    path.chmod(0o600)
    return load({"DOCKER_CONFIG": str(directory), **(environ or {})})


def in_registry(ref: str) -> tuple[str, str]:
    """Repository without the registry's host, and tag."""
    repository, tag = split(ref)
    return repository.partition("/")[2], tag


def test_a_push(engine: DockerEngine, registry: Registry, image: Callable[..., str]) -> None:
    ref = image(registry.host, 80_000_000)  # the containerd image store reports ten times a second, and nothing before that
    told = Recorder()
    digest = engine.push(ref, nobody, told)
    assert digest == registry.digest(*in_registry(ref))
    states = told.states[ref]
    so_far, total = states[-1].removeprefix("pushed ").removesuffix(" MB").split("/")
    assert so_far == total
    assert float(total) >= 80
    assert len(set(states)) == len(states)


def test_a_push_of_what_is_there_says_the_same_digest(
    engine: DockerEngine, registry: Registry, image: Callable[..., str]
) -> None:
    ref = image(registry.host)
    digest = engine.push(ref, nobody, Recorder())
    told = Recorder()
    assert engine.push(ref, nobody, told) == digest
    assert told.states == {}


def test_a_second_tag_has_the_same_digest(engine: DockerEngine, registry: Registry, image: Callable[..., str]) -> None:
    ref = image(registry.host)
    latest = ref.replace(":1.0", ":latest")
    engine.tag(ref, latest)
    digest = publish(engine, [ref, latest], nobody, Recorder(), NEVER)
    assert registry.digest(*in_registry(latest)) == registry.digest(*in_registry(ref)) == digest
    engine.remove_image(latest)


def test_a_pushed_image_is_pulled(engine: DockerEngine, registry: Registry, image: Callable[..., str]) -> None:
    ref = image(registry.host)
    found = engine.image(ref)
    assert found is not None
    digest = engine.push(ref, nobody, Recorder())
    engine.remove_image(ref)
    assert engine.image(ref) is None
    assert engine.pull(ref, nobody, Recorder()) == found.id
    by_digest = f"{split(ref)[0]}@{digest}"
    assert engine.pull(by_digest, nobody, Recorder()) == found.id
    pulled = engine.image(ref)
    assert pulled is not None
    assert by_digest in pulled.digests


def test_a_push_with_a_login(engine: DockerEngine, registry_auth: Registry, image: Callable[..., str], tmp_path: Path) -> None:
    ref = image(registry_auth.host)
    digest = engine.push(ref, login(tmp_path, registry_auth.docker_config()), Recorder())
    assert digest == registry_auth.digest(*in_registry(ref))


def test_a_push_with_a_helper(engine: DockerEngine, registry_auth: Registry, image: Callable[..., str], tmp_path: Path) -> None:
    helper = tmp_path / "docker-credential-test"
    answer = json.dumps({"ServerURL": registry_auth.host, "Username": registry_auth.user, "Secret": registry_auth.password})
    helper.write_text(f"#!/bin/sh\nread -r server\n[ \"$1 $server\" = 'get {registry_auth.host}' ] && echo '{answer}'\n")
    helper.chmod(0o755)
    credentials = login(tmp_path, '{"credsStore": "test"}', {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    ref = image(registry_auth.host)
    assert engine.push(ref, credentials, Recorder()) == registry_auth.digest(*in_registry(ref))


@pytest.mark.parametrize("password", [None, "wrong"])
def test_a_push_that_is_not_allowed(
    engine: DockerEngine, registry_auth: Registry, image: Callable[..., str], password: str | None
) -> None:
    ref = image(registry_auth.host)
    user = (registry_auth.user, password) if password else None
    with pytest.raises(RegistryError) as raised:
        engine.push(ref, lambda host: user, Recorder())
    assert raised.value.transient is False
    hint = f'check the password of "{registry_auth.user}"' if user else f"docker login {registry_auth.host}"
    assert hint in raised.value.hint
    assert registry_auth.tags(in_registry(ref)[0]) == []


@pytest.mark.parametrize("password", [None, "wrong"])
def test_a_pull_that_is_not_allowed(engine: DockerEngine, registry_auth: Registry, password: str | None) -> None:
    user = (registry_auth.user, password) if password else None
    with pytest.raises(RegistryError) as raised:
        engine.pull(f"{registry_auth.host}/gitdeploy-test/none:1", lambda host: user, Recorder())
    assert raised.value.transient is False
    assert ("password" if user else "docker login") in raised.value.hint


def test_a_pull_of_nothing(engine: DockerEngine, registry: Registry) -> None:
    with pytest.raises(RegistryError) as raised:
        engine.pull(f"{registry.host}/gitdeploy-test/none:1", nobody, Recorder())
    assert raised.value.transient is False


def test_a_push_of_a_tag_that_there_is_not(engine: DockerEngine, registry: Registry, image: Callable[..., str]) -> None:
    with pytest.raises(RegistryError, match="tag does not exist") as raised:
        engine.push(image(registry.host).replace(":1.0", ":2.0"), nobody, Recorder())
    assert raised.value.transient is False


def test_no_registry_is_passing(engine: DockerEngine, image: Callable[..., str]) -> None:
    ref = image(f"127.0.0.1:{find_free_port()}")
    for transfer in (engine.push, engine.pull):
        with pytest.raises(RegistryError, match="connection refused") as raised:
            transfer(ref, nobody, Recorder())
        assert raised.value.transient is True


def test_a_registry_that_starts_late(
    engine: DockerEngine, image: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = find_free_port()
    monkeypatch.setattr(registries, "free_port", lambda: port)
    ref = image(f"127.0.0.1:{port}")
    stop, pushed = threading.Event(), threading.Event()

    def start_late() -> None:
        time.sleep(0.3)
        with registries.serve(tmp_path):
            pushed.wait(60)

    late = threading.Thread(target=start_late)
    late.start()
    told = Recorder()
    try:
        digest = publish(engine, [ref], nobody, told, stop)
    finally:
        pushed.set()
        late.join()
    assert digest.startswith("sha256:")
    assert any("trying again in 1 s" in line for line in told.short)


@pytest.mark.parametrize("transport", ["unix", "tcp", "tls"])
def test_a_cancelled_push_ends_at_once(transport: str, engine_url: str, image: Callable[..., str], tmp_path: Path) -> None:
    with tcp_engine.connected(transport, engine_url, tmp_path) as engine, socket.socket() as silent:  # never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        ref = image(f"127.0.0.1:{silent.getsockname()[1]}")
        cancel = threading.Event()
        threading.Timer(0.3, cancel.set).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            engine.push(ref, nobody, Recorder(), cancel)
        assert time.monotonic() - began < 5


def test_a_push_is_not_begun_when_it_is_cancelled_already(
    engine: DockerEngine, registry: Registry, image: Callable[..., str]
) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        engine.push(image(registry.host), nobody, Recorder(), cancel)


# the messages of a transfer

MB = 1_000_000


def moving(layer: str, current: int, total: int, status: str = "Pushing") -> dict[str, object]:
    return {"status": status, "id": layer, "progressDetail": {"current": current, "total": total}}


def test_the_progress_of_layers_is_one_text() -> None:
    told = Recorder()
    transfer = Transfer("app:1", "pushed", told)
    messages: list[dict[str, object]] = [
        {"status": "The push refers to repository [docker.io/6ain/app]"},
        {"status": "Preparing", "progressDetail": {}, "id": "a"},
        {"status": "Layer already exists", "progressDetail": {}, "id": "c"},
        moving("a", MB, 10 * MB),
        moving("b", 2 * MB, 5 * MB),
        moving("b", 2 * MB + 100, 5 * MB),
        moving("b", 5 * MB + 4000, 5 * MB),
        {"status": "Pushed", "progressDetail": {}, "id": "b"},
        {"status": "Pushed", "progressDetail": {}, "id": "a"},
        {"status": f"1: digest: sha256:{'0' * 64} size: 527"},
    ]
    for message in messages:
        transfer.take(message)
    assert told.states == {"app:1": ["pushed 1.0/10.0 MB", "pushed 3.0/15.0 MB", "pushed 6.0/15.0 MB", "pushed 15.0/15.0 MB"]}
    assert transfer.digest == f"sha256:{'0' * 64}"


def test_a_download_is_not_counted_again_while_it_is_unpacked() -> None:
    told = Recorder()
    transfer = Transfer("app:1", "pulled", told)
    messages: list[dict[str, object]] = [
        moving("a", MB, 2 * MB, "Downloading"),
        {"status": "Download complete", "progressDetail": {}, "id": "a"},
        moving("a", 1000, 2 * MB, "Extracting"),
        {"status": "Pull complete", "progressDetail": {}, "id": "a"},
        {"status": f"Digest: sha256:{'a' * 64}"},
    ]
    for message in messages:
        transfer.take(message)
    assert told.states == {"app:1": ["pulled 1.0/2.0 MB", "pulled 2.0/2.0 MB"]}
    assert transfer.digest == f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    "message", [{}, {"status": None}, {"aux": None}, {"aux": {"ID": "x"}}, {"progressDetail": None, "id": 3}]
)
def test_messages_that_say_nothing(message: dict[str, object]) -> None:
    told = Recorder()
    transfer = Transfer("app:1", "pushed", told)
    transfer.take(message)
    assert (told.states, transfer.digest) == ({}, "")
