"""A registry that is out of breath for a moment costs a moment."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.params import sample
from tests.support.registry import Registry


@contextmanager
def refusing(upstream: str, refusals: list[tuple[int, str]]) -> Iterator[str]:
    """A registry that hands on to another one, once each question for a manifest had its refusal; yields "HOST:PORT"."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        default_request_version = "HTTP/1.1"  # containerd tries TLS first, and goes on without it after an answer with a status

        def do_GET(self) -> None:
            if "/manifests/" in self.path and refusals:
                status, body = refusals.pop(0)
                return self._answer(status, {"Content-Type": "application/json"}, body.encode())
            connection = http.client.HTTPConnection(upstream, timeout=10)
            names = {name.lower() for name in self.headers} - {"host", "connection"}
            headers = {name: ", ".join(self.headers.get_all(name, [])) for name in names}  # Accept may be there many times
            connection.request(self.command, self.path, headers=headers)
            answer = connection.getresponse()
            kept = ("content-type", "docker-content-digest", "docker-distribution-api-version", "location")
            return self._answer(
                answer.status,
                {name: value for name, value in answer.getheaders() if name.lower() in kept},
                answer.read(),
                int(answer.getheader("Content-Length") or 0),
            )

        do_HEAD = do_GET  # noqa: N815 (as http.server wants it)

        def _answer(self, status: int, headers: dict[str, str], body: bytes, length: int | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


TOO_MANY = '{"errors":[{"code":"TOOMANYREQUESTS","message":"You may increase the limit by authenticating"}]}'


@pytest.mark.parametrize(
    ("builder", "status", "body"),
    sample(
        [(b, *a) for b in ("buildkit", "classic") for a in ((503, ""), (429, TOO_MANY))],
        ("buildkit", 429, TOO_MANY),
        ("classic", 503, ""),
    ),
)
def test_a_base_image_that_is_refused_for_a_moment(
    app: Deployable, docker_client: docker.DockerClient, registry: Registry, status: int, body: str, builder: str
) -> None:
    base = f"{registry.host}/base/{app.container}"
    docker_client.images.get("gitdeploy-test/python:1").tag(base, "1")
    docker_client.images.push(base, "1")
    docker_client.images.remove(f"{base}:1")
    app.site.configure(f'[apps."{app.name}".build]\nengine = "{builder}"\n')
    refusals = [(status, body)] * 2  # the engine itself may ask twice: by HEAD and by GET
    with refusing(registry.host, refusals) as host:
        name = f"{host}/base/{app.container}:1"
        app.clone.release("1", {"Dockerfile": f'FROM {name}\nCOPY . /app/\nWORKDIR /app\nCMD ["python3", "app.py"]\n'})
        push = app.clone.push(app.remote).text
    assert "1 is live" in push, push
    assert refusals == []
    for image in docker_client.images.list(name):  # BuildKit gives it no name
        docker_client.images.remove(image.tags[0], force=True)
