"""Builds while the engine, or what lies between, fails."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.engine.apiversion import NATIVE_GRPC, at_least
from gitdeploy.engine.client import connect
from gitdeploy.errors import BuildFailed, EngineError, RegistryError, UnfitError
from tests.support.builder import Builder, running, running_ids, set_when
from tests.support.engine import PrivateEngine
from tests.support.interposer import Interposer, interpose
from tests.support.net import wait_until
from tests.support.registry import Registry

REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def mark() -> str:
    """An argument to `sleep` that nobody else uses."""
    return f"{uuid.uuid4().int % 10**8 + 10**8}"


@pytest.fixture
def between(engine_url: str, tmp_path: Path) -> Iterator[Interposer]:
    with interpose(engine_url, tmp_path) as interposer:
        yield interposer


@pytest.fixture
def through(builder: Builder, between: Interposer) -> Iterator[Builder]:
    """Builds through the interposer, with each builder in turn."""
    engine = connect({"DOCKER_HOST": between.url})
    yield replace(builder, engine=engine)
    engine.close()


@pytest.fixture
def refused(buildkit: Builder, between: Interposer) -> Iterator[Builder]:
    """Builds with BuildKit on an engine that refuses sessions, whichever way they are asked for."""
    between.refused |= {"/session": REFUSED, "PRI * HTTP/2.0": REFUSED}
    engine = connect({"DOCKER_HOST": between.url})
    yield replace(buildkit, engine=engine)
    engine.close()


def test_an_engine_that_goes_away_is_a_clear_error(through: Builder, between: Interposer) -> None:
    sleep = mark()
    gone = threading.Event()
    set_when(gone, lambda: running(sleep) and between.cut("/build?"))
    failed = through.run(f"FROM BASE\nRUN sleep {sleep}\n")
    assert isinstance(failed.failure, UnfitError)
    assert f"the connection to the Docker Engine at {between.url} broke" in failed.failure.reason
    wait_until(lambda: not running(sleep), 10, "the end of the step")


def test_an_engine_that_is_killed_is_a_clear_error(builder: Builder, private_engine: PrivateEngine) -> None:
    sleep = mark()
    gone = threading.Event()
    set_when(gone, lambda: running(sleep) and private_engine.kill() is None)
    try:
        failed = builder.run(f"FROM BASE\nRUN sleep {sleep}\n")
    finally:
        assert gone.wait(10)
        private_engine.start()
    assert isinstance(failed.failure, UnfitError)
    assert f"the connection to the Docker Engine at {private_engine.url} broke" in failed.failure.reason
    builder.good("FROM BASE\nRUN true\n", no_cache=True)
    # What a killed engine had started goes on without it, and the classic builder's containers stay.
    for process in running_ids(sleep):
        os.kill(process, signal.SIGKILL)
    for container in builder.client.containers.list(all=True):
        if sleep in str(container.attrs["Config"]["Cmd"]):
            container.remove(force=True)


def test_a_session_that_breaks_is_a_clear_error(buildkit: Builder, between: Interposer) -> None:
    engine = connect({"DOCKER_HOST": between.url})
    sleep = mark()
    cut = threading.Event()
    set_when(cut, lambda: running(sleep) and between.cut("/session"))
    dockerfile = (
        f"FROM BASE\nRUN timeout 1 sleep {sleep}; true\nRUN --mount=type=secret,id=s,required=true cat /run/secrets/s\n"
    )
    failed = replace(buildkit, engine=engine).run(dockerfile, secrets={"s": b"x"})
    assert isinstance(failed.failure, EngineError)
    assert failed.failure.reason.startswith("the Docker Engine ended its session with the build")
    assert "RUN --mount=type=secret" in failed.failure.reason
    assert cut.is_set()
    engine.close()


def test_an_engine_that_refuses_sessions_builds_without(refused: Builder) -> None:
    built = refused.good("FROM BASE AS one\nRUN echo hi > /made\nFROM scratch\nCOPY --from=one / /\n")
    assert refused.sh(built, "cat /made") == "hi\n"
    assert built.output.short[0] == (
        "the Docker Engine refused POST /session (HTTP status 404): building without one, with base images pulled beforehand"
    )


def test_without_a_session_private_images_are_pulled_beforehand(refused: Builder, registry_auth: Registry) -> None:
    image = f"{registry_auth.host}/private-{mark()}:1"
    login = (registry_auth.user, registry_auth.password)
    refused.engine.tag(refused.base, image)
    refused.client.images.push(image, auth_config={"username": login[0], "password": login[1]})
    refused.engine.remove_image(image)
    dockerfile = f"FROM {image}\nRUN echo {mark()} > /made\n"
    denied = refused.run(dockerfile)
    assert isinstance(denied.failure, RegistryError)
    assert "nobody is logged in" in denied.failure.hint
    assert refused.sh(refused.good(dockerfile, credentials=lambda host: login, pull=True), "ls /made") == "/made\n"
    refused.engine.remove_image(image)


def test_without_a_session_secrets_are_refused(refused: Builder) -> None:
    failed = refused.run("FROM BASE\n", secrets={"s": b"x"})
    assert isinstance(failed.failure, BuildFailed)
    assert failed.failure.reason == (
        "the Docker Engine refused POST /session (HTTP status 404), and without a session there are no build.secrets"
    )


def test_without_post_session_a_newer_engine_is_asked_by_grpc(buildkit: Builder, between: Interposer) -> None:
    between.refused["/session"] = REFUSED
    engine = connect({"DOCKER_HOST": between.url})
    builder = replace(buildkit, engine=engine)
    large = bytes(range(256)) * 1000
    dockerfile = "FROM BASE\nRUN --mount=type=secret,id=s,required=true md5sum </run/secrets/s >/made\n"
    if at_least(engine.info().api_version, NATIVE_GRPC):
        built = builder.good(dockerfile, secrets={"s": large}, no_cache=True)
        assert builder.sh(built, "cat /made").split()[0] == hashlib.md5(large).hexdigest()
        assert "PRI * HTTP/2.0" in between.seen
        assert not any("without one" in line for line in built.output.short)
    else:
        assert "there are no build.secrets" in str(builder.run(dockerfile, secrets={"s": large}).failure)
        assert "PRI * HTTP/2.0" not in between.seen
    engine.close()


def test_a_session_that_gets_no_answer_is_not_built_without(refused: Builder, between: Interposer) -> None:
    between.refused["/session"] = b"HTTP/1.1 "
    failed = refused.run("FROM BASE\n")
    assert isinstance(failed.failure, UnfitError)


def test_a_refused_build_is_a_clear_error(through: Builder, between: Interposer) -> None:
    between.refused["/build?"] = b'HTTP/1.1 403 Forbidden\r\nContent-Length: 35\r\n\r\n{"message":"plugin x denied builds"}'
    failed = through.run("FROM BASE\n")
    assert isinstance(failed.failure, EngineError)
    assert "plugin x denied builds" in failed.failure.reason
    assert failed.failure.status == 403
