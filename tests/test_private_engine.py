"""The engine and the registries of the tests are real and do what fault tests ask of them."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages
from tests.support.net import get, wait_until
from tests.support.prober import Prober
from tests.support.registry import Registry


@pytest.fixture
def web(docker_client: docker.DockerClient, base_images: BaseImages, free_port: int) -> Iterator[tuple[str, str]]:
    """A container with a web server: its id and URL."""
    server = docker_client.containers.run(
        base_images.busybox,
        ["sh", "-c", "echo hello >/tmp/index.html; exec busybox httpd -f -h /tmp -p 80"],
        ports={"80/tcp": ("127.0.0.1", free_port)},
        restart_policy={"Name": "always"},
        stop_signal="SIGKILL",  # as a container's first process it would not heed SIGTERM
        detach=True,
    )
    assert server.id
    yield server.id, f"http://127.0.0.1:{free_port}/"
    server.remove(force=True)


def answers(url: str) -> bool:
    """Whether a GET succeeds."""
    try:
        return get(url) == "hello\n"
    except OSError:
        return False


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_daemon_comes_back(
    end: str, private_engine: PrivateEngine, docker_client: docker.DockerClient, web: tuple[str, str]
) -> None:
    container, url = web
    wait_until(lambda: answers(url), 10, "the container")

    getattr(private_engine, end)()
    with pytest.raises((docker.errors.APIError, OSError)):
        docker_client.ping()
    private_engine.start()

    wait_until(lambda: answers(url), 20, "the container after its daemon's end")
    assert docker_client.containers.get(container).status == "running"


def test_prober_sees_an_outage(docker_client: docker.DockerClient, web: tuple[str, str]) -> None:
    container, url = web
    wait_until(lambda: answers(url), 10, "the container")

    with Prober(url) as prober:
        wait_until(lambda: prober.findings.bodies["hello"] > 3, 20, "the first answers")
        docker_client.containers.get(container).restart(timeout=0)
        before = prober.findings.bodies["hello"]
        wait_until(lambda: prober.findings.bodies["hello"] > before + 3, 10, "answers after the restart")

    findings = prober.findings
    assert findings.failed > 0
    assert findings.sent == findings.failed + findings.bodies["hello"]
    assert findings.longest_gap > 0.01


def test_registry_takes_pushes(docker_client: docker.DockerClient, base_images: BaseImages, registry: Registry) -> None:
    reference = f"{registry.host}/tests/busybox"
    docker_client.images.get(base_images.busybox).tag(reference, "1")
    output = docker_client.images.push(reference, "1")
    docker_client.images.remove(f"{reference}:1")

    assert registry.tags("tests/busybox") == ["1"], output
    assert registry.digest("tests/busybox", "1") in output
    assert registry.tags("tests/none") == []


def test_registry_wants_its_login(docker_client: docker.DockerClient, base_images: BaseImages, registry_auth: Registry) -> None:
    reference = f"{registry_auth.host}/tests/busybox"
    docker_client.images.get(base_images.busybox).tag(reference, "1")
    refused = docker_client.images.push(reference, "1")
    login = {"username": registry_auth.user, "password": registry_auth.password}
    taken = docker_client.images.push(reference, "1", auth_config=login)
    docker_client.images.remove(f"{reference}:1")

    assert "no basic auth credentials" in refused
    assert registry_auth.tags("tests/busybox") == ["1"], taken
