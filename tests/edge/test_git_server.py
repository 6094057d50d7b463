"""The Git server behind the edge: by its address, since no network leads to it by name."""

from __future__ import annotations

import http.client
import http.server
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.config.load import parse_config
from gitdeploy.edge.fronting import git_route
from gitdeploy.edge.route import Traffic, Upstream
from tests.edge.stage import Stage, route
from tests.edge.test_routes import ask
from tests.support.net import wait_until

SEEN = threading.Event()
"""Part of a request has come."""


class _Echo(http.server.BaseHTTPRequestHandler):
    """Answers how many bytes it was sent, once the first have come."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"git")

    def do_POST(self) -> None:
        came = 0
        while size := int(self.rfile.readline(), 16):
            came += len(self.rfile.read(size))
            self.rfile.readline()
            SEEN.set()
        self.close_connection = True
        self._answer(str(came).encode())

    def _answer(self, text: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def git_address(stage: Stage) -> Iterator[str]:
    """Where a server of this machine answers containers."""
    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        subnet = stage.client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"]
        yield f"{ipaddress.ip_network(subnet)[1]}:{server.server_address[1]}"
        server.shutdown()


def test_by_its_address(stage: Stage, git_address: str, new_name: Callable[[], str]) -> None:
    config = parse_config(f'[edge]\ngit = "git.example.com"\ngit_address = "{git_address}"\n'.encode(), Path("/c.toml"))
    (git,) = git_route(config)
    plain, app = route(git.domain, *git.upstreams), route("a.example.com", stage.start(new_name()))
    without, stage.settings = stage.settings, replace(stage.settings, git=config.edge.git, git_address=git_address)
    stage.edge.apply(Traffic((plain,)))
    wait_until(lambda: ask(stage, "git.example.com")[:2] == (200, "git"), 20, "the Git server")
    stage.edge.apply(Traffic((plain, app)))
    assert ask(stage, "a.example.com")[:2] == (200, app.upstreams[0].host)
    stage.settings, whole = without, stage.settings
    stage.edge.apply(Traffic((app,)))
    assert ask(stage, "git.example.com")[0] == 404
    stage.settings = whole
    stage.edge.apply(Traffic((plain, app)))
    wait_until(lambda: ask(stage, "git.example.com")[:2] == (200, "git"), 20, "the Git server, again")
    assert stage.edge.differences(Traffic((plain, app))) == []


def test_pushes_pass_as_they_come(stage: Stage, git_address: str) -> None:
    """The server has what was sent before the rest of it is, and a push without a length counts as no large one."""
    stage.settings = replace(stage.settings, git="git.example.com", git_address=git_address)
    stage.edge.apply(Traffic((route("git.example.com", Upstream("", "", 0)),)))
    wait_until(lambda: ask(stage, "git.example.com")[0] == 200, 20, "the Git server")
    with socket.create_connection(("127.0.0.1", stage.settings.http_port), 20) as client:
        client.sendall(
            b"POST /o/r.git/git-receive-pack HTTP/1.1\r\nHost: git.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(3):
            SEEN.clear()
            client.sendall(b"5\r\nhello\r\n")
            assert SEEN.wait(20)
        client.sendall(b"0\r\n\r\n")
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.read() == b"15"
