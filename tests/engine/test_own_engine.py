"""What may be done to an engine of the tests' own only: to kill it under its client, and to empty its build cache."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gitdeploy.engine.client import connect
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import UnfitError
from tests.support.builder import Builder
from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages


@pytest.fixture
def engine(private_engine: PrivateEngine) -> Iterator[DockerEngine]:
    engine = connect({"DOCKER_HOST": private_engine.url})
    yield engine
    engine.close()


@pytest.fixture
def container(engine: DockerEngine, base_images: BaseImages) -> Iterator[str]:
    """A running container."""
    name = f"gdtest-{uuid.uuid4().hex[:8]}"
    labels = {"gitdeploy.app": "devops/test-outage"}
    id = engine.create(ContainerSpec(name, base_images.busybox, command=("sleep", "600"), labels=labels))
    engine.start(id)
    yield id
    engine.remove(id, force=True)


def test_an_outage_ends_every_call_and_is_over_when_the_engine_is_back(
    engine: DockerEngine, container: str, private_engine: PrivateEngine
) -> None:
    started = threading.Barrier(3)

    def during(call: Callable[[], object]) -> object:
        started.wait()
        with pytest.raises(UnfitError) as raised:
            call()
        return raised.value

    with ThreadPoolExecutor() as pool:
        calls = [
            pool.submit(during, lambda: engine.wait(container, 60)),
            pool.submit(during, lambda: engine.exec(container, ["sleep", "60"])),
        ]
        started.wait()
        threading.Event().wait(0.5)  # both are under way by now
        private_engine.kill()
        try:
            for call in calls:
                assert "Docker Engine at unix://" in str(call.result(20))
            with pytest.raises(UnfitError, match="no Docker Engine at"):
                engine.containers({})
        finally:
            private_engine.start()
    found = engine.container(container)
    assert found is not None
    assert found.state == "exited"


@pytest.mark.parametrize("how", [PrivateEngine.kill, PrivateEngine.stop])
def test_its_end_is_noticed(engine: DockerEngine, private_engine: PrivateEngine, how: Callable[[PrivateEngine], None]) -> None:
    assert engine.await_end(0.1) is False
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(engine.await_end, 60)
        threading.Event().wait(0.3)  # it waits by now
        assert not ended.done()
        how(private_engine)
        try:
            assert ended.result(20) is True
            assert engine.await_end(60) is True
        finally:
            private_engine.start()


def test_the_build_cache_is_emptied(engine: DockerEngine, buildkit: Builder) -> None:
    buildkit.good(
        "FROM BASE\nRUN head -c 5000000 /dev/urandom >/random && rm /random && echo once\nRUN head -c 5000000 /dev/zero >/z"
    )
    buildkit.clean_up()
    assert engine.prune_build_cache(10**15) == 0
    assert engine.prune_build_cache(0) >= 5_000_000
    assert engine.prune_build_cache(0) == 0
