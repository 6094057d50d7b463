"""Real web servers of a static site: whoever has a page from before a release gets the new one, and only what is new."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import docker
import pytest

from tests.source.building import Site
from tests.support.gitrepo import Tree
from tests.support.images import PREFIX, BaseImages, image_archive, nginx_root
from tests.support.net import wait_until


@dataclass(frozen=True)
class Page:
    """What a server answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def condition(self) -> dict[str, str]:
        """What a browser sends that has this page."""
        pairs = (("If-None-Match", self.headers.get("etag")), ("If-Modified-Since", self.headers.get("last-modified")))
        return {name: value for name, value in pairs if value}


@pytest.fixture(scope="module")
def nginx(docker_client: docker.DockerClient) -> Iterator[str]:
    """An image with nginx."""
    reference = f"{PREFIX}/nginx:{uuid.uuid4().hex[:8]}"
    docker_client.images.load(image_archive(reference, nginx_root().tar(), {"Cmd": ["nginx"]}))
    yield reference
    docker_client.images.remove(reference)


@pytest.fixture
def dockerfile(request: pytest.FixtureRequest, base_images: BaseImages) -> str:
    """A static site behind the server that the test is about."""
    server: str = request.param
    if server == "nginx":
        return f"FROM {request.getfixturevalue('nginx')}\nCOPY site /srv\n"
    command = {
        "busybox": [base_images.busybox, '["httpd", "-f", "-p", "80", "-h", "/srv"]'],
        "python": [base_images.python, '["python3", "-m", "http.server", "-d", "/srv", "80"]'],
    }[server]
    return f"FROM {command[0]}\nCOPY site /srv\nCMD {command[1]}\n"


@contextmanager
def served(site: Site) -> Iterator[str]:
    """The address at which the image that was built last serves."""
    container = site.client.containers.run(site.tag, detach=True)
    try:
        container.reload()
        (network,) = container.attrs["NetworkSettings"]["Networks"].values()
        host: str = network["IPAddress"]
        wait_until(lambda: answers(host), 30, f"the server; it said {container.logs()!r}")
        yield host
    finally:
        container.remove(force=True)


def answers(host: str) -> bool:
    with suppress(OSError):
        return get(host, "/").status == 200
    return False


def get(host: str, path: str, headers: Mapping[str, str] | None = None) -> Page:
    connection = http.client.HTTPConnection(host, 80, timeout=10)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        return Page(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("dockerfile", ["nginx", "busybox", "python"], indirect=True)
@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_released_page_is_seen(site: Site, dockerfile: str, builder: Literal["buildkit", "classic"]) -> None:
    """Two releases differ in one digit, and their commits have one and the same time."""
    site.builder = builder
    files: Tree = {"Dockerfile": dockerfile.encode(), "site/index.html": b"release 1\n", "site/same.html": b"as ever\n"}
    site.repo.commit(files)
    site.build()
    with served(site) as host:
        first, same = get(host, "/index.html"), get(host, "/same.html")
        assert (first.body, same.body) == (b"release 1\n", b"as ever\n")
        assert first.condition
        assert get(host, "/index.html", first.condition).status in (200, 304)
    site.repo.commit({**files, "site/index.html": b"release 2\n"})
    site.build()
    with served(site) as host:
        for condition in (first.condition, {"If-Modified-Since": first.headers.get("last-modified", "")}):
            second = get(host, "/index.html", condition)
            assert (second.status, second.body) == (200, b"release 2\n")
        assert get(host, "/same.html").headers.get("last-modified") == same.headers.get("last-modified")
