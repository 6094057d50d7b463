"""One question to a container, and what its answer means."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.sections import Health
from gitdeploy.engine.types import Container
from gitdeploy.targets.docker import probe

QUICK = Health(timeout=1.0)


@pytest.mark.parametrize(
    ("status", "accepted", "expected"),
    [
        (200, ["200-399"], True),
        (399, ["200-399"], True),
        (400, ["200-399"], False),
        (404, ["200", "404"], True),
        (201, ["200"], False),
    ],
)
def test_accepted_statuses(status: int, accepted: list[str], expected: bool) -> None:
    assert probe.status_accepted(status, accepted) is expected


def test_where_a_container_is_reached() -> None:
    publish = (Publish("", 8080, 80), Publish("192.0.2.1", 81, 80), Publish("", 90, 90), Publish("", 80, 80, "udp"))
    found = Container("1", "c", "i", "i", {}, "running", addresses={"a": "10.0.0.2", "b": ""}, publish=publish)
    assert probe.own_addresses(found, 80) == [("10.0.0.2", 80)]
    assert probe.published_addresses(found, 80, "127.0.0.1") == [("127.0.0.1", 8080), ("192.0.2.1", 81)]


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers as the path asks."""

    def do_GET(self) -> None:
        verb = self.path.strip("/").split("?")[0]
        if verb == "hang":
            time.sleep(2)
        elif verb == "drip":
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.0 200 OK\r\n")
                for letter in itertools.cycle(b"x"):
                    self.wfile.write(bytes([letter]))
                    time.sleep(0.05)
        elif verb == "garbage":
            self.wfile.write(b"hello\r\n\r\n")
        elif verb == "host":
            self.send_error(200 if self.headers["Host"] == "app.example" else 421)
        elif verb:
            self.send_error(int(verb))

    def log_message(self, format: str, *args: object) -> None:
        """Logs no requests."""


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Of a real HTTP server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ("127.0.0.1", server.server_port)
        server.shutdown()


@pytest.mark.parametrize(
    ("health", "answer"),
    [
        (Health(path="/200"), ""),
        (Health(path="/302"), ""),
        (Health(path="/404"), "GET /404: answered 404 Not Found, expected 200-399"),
        (Health(path="/404", status=("404",)), ""),
        (Health(path="/host"), "GET /host: answered 421 Misdirected Request, expected 200-399"),
        (Health(path="/host", headers={"Host": "app.example"}), ""),
        (Health(path="/hang", timeout=0.2), "GET /hang: no answer in 0.2 s"),
        (Health(path="/drip", timeout=0.3), "GET /drip: no answer in 0.3 s"),
        (Health(path="/"), "GET /: the connection was closed without an answer"),
        (Health(path="/garbage"), "GET /garbage: hello\r\n"),
        (Health(path="/a b"), "GET /a b: URL can't contain control characters. '/a b' (found at least ' ')"),
        (Health(path="/200", headers={"A": "b\r\nC: d"}), "GET /200: Invalid header value b'b\\r\\nC: d'"),
    ],
)
def test_what_http_answers_mean(address: tuple[str, int], health: Health, answer: str) -> None:
    assert probe.ask_http(address, health) == answer


def test_what_tcp_answers_mean(address: tuple[str, int], free_port: int) -> None:
    assert probe.ask_tcp(address, QUICK) == ""
    assert probe.ask_tcp(address, QUICK, published=True) == ""
    assert probe.ask_tcp(("127.0.0.1", free_port), QUICK) == f"TCP port {free_port}: {probe.NOT_LISTENING}"
    with hanging_up() as port:
        assert (
            probe.ask_tcp(("127.0.0.1", port), QUICK, published=True) == f"TCP port {port}: the connection was closed at once"
        )


@contextmanager
def hanging_up() -> Iterator[int]:
    """A port that accepts and hangs up, as Docker's proxy does for a container that does not listen."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_address_out_of_reach() -> None:
    for ask in (probe.ask_tcp, probe.ask_http):
        with pytest.raises(probe.OutOfReachError):
            ask(("240.0.0.1", 80), Health(path="/", timeout=0.1))
