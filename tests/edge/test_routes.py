"""Requests come where they belong, by name and path, and what the edge answers itself."""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
from collections.abc import Callable
from dataclasses import replace

from gitdeploy.edge.route import Rules, Traffic
from tests.edge.stage import Stage, route


def ask(stage: Stage, host: str, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    """Ask the edge; return status, body and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.settings.http_port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers={"Host": host, **named})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return found


def test_names_and_paths(stage: Stage, new_name: Callable[[], str]) -> None:
    one, two, three = (stage.start(new_name()) for _ in range(3))
    routes = (
        route("one.example", one),
        route("two.example", two),
        route("two.example", three, path="/api"),
        route("*.three.example", three),
        route("own.three.example", one),
    )
    stage.edge.apply(Traffic(routes))
    expected = {
        ("one.example", "/"): one,
        ("ONE.example.:80", "/any?q=1"): one,
        ("two.example", "/"): two,
        ("two.example", "/apis"): two,
        ("two.example", "/api"): three,
        ("two.example", "/api/x"): three,
        ("a.three.example", "/"): three,
        ("own.three.example", "/"): one,
    }
    assert {place: ask(stage, *place)[:2] for place in expected} == {
        place: (200, upstream.host) for place, upstream in expected.items()
    }
    for unknown in ("three.example", "a.b.three.example", "nobody.example", "127.0.0.1"):
        assert ask(stage, unknown)[0] == 404
    stage.edge.apply(Traffic())
    assert stage.client.containers.list(all=True, filters={"name": "gitdeploy.edge"}) == []


def test_what_the_edge_answers_itself(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    signed_in = "Basic " + base64.b64encode(b"ann:s3cret pass").decode()
    plain = Rules(secure=False)
    routes = (
        route("www.example", app, rules=replace(plain, canonical="example.com")),
        route("secure.example", app, rules=Rules(acme=True)),
        route("closed.example", app, rules=replace(plain, realm="o/r")),
        route("small.example", app, rules=replace(plain, max_body=10)),
        route("away.example", app, rules=replace(plain, maintenance=True)),
        route("dead.example", replace(app, host=new_name())),
    )
    users = {"o/r": (hashlib.sha256(signed_in.encode()).hexdigest(),)}
    stage.edge.apply(Traffic(routes, thumbprint="THUMB", users=users))

    status, _, headers = ask(stage, "www.example", "/a?b=c")
    assert (status, headers["location"]) == (308, "http://example.com/a?b=c")
    status, _, headers = ask(stage, "secure.example", "/a?b=c")
    assert (status, headers["location"]) == (308, "https://secure.example/a?b=c")
    assert ask(stage, "secure.example", "/.well-known/acme-challenge/a-_1")[:2] == (200, "a-_1.THUMB")
    assert ask(stage, "secure.example", "/.well-known/acme-challenge/a/b")[0] == 308
    assert ask(stage, "nobody.example", "/.well-known/acme-challenge/a-_1")[0] == 404

    status, _, headers = ask(stage, "closed.example")
    assert (status, headers["www-authenticate"]) == (401, 'Basic realm="restricted"')
    assert ask(stage, "closed.example", Authorization=signed_in + "x")[0] == 401
    assert ask(stage, "closed.example", Authorization=signed_in)[:2] == (200, app.host)

    assert ask(stage, "small.example", method="POST", Content_Length="10")[0] != 413
    assert ask(stage, "small.example", method="POST", Content_Length="11")[0] == 413
    assert [ask(stage, host)[0] for host in ("away.example", "dead.example")] == [503, 503]
    assert "not available" in ask(stage, "dead.example")[1]


def test_what_an_app_hears_of_the_client(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    traffic = Traffic((route("a.example", app),))
    stage.edge.apply(traffic)
    told = {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "https", "Forwarded": "for=192.0.2.1"}
    heard = ask(stage, "a.example", "/headers", **told)[1].lower()
    assert "192.0.2.1" not in heard
    assert "x-forwarded-proto: http\n" in heard
    assert "x-forwarded-host: a.example\n" in heard
    stage.settings = replace(stage.settings, trusted_proxies=("0.0.0.0/0",))
    stage.edge.apply(traffic)
    heard = ask(stage, "a.example", "/headers", **told)[1].lower()
    assert "x-forwarded-for: 192.0.2.1" in heard
    assert "x-forwarded-proto: https\n" in heard


def test_the_proxy_protocol_of_a_load_balancer(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    stage.settings = replace(stage.settings, trusted_proxies=("0.0.0.0/0",), proxy_protocol=True)
    stage.edge.apply(Traffic((route("a.example", app),)))
    request = "GET /headers HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.66\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stage.settings.http_port), 20) as client:
        client.sendall(f"PROXY TCP4 192.0.2.9 192.0.2.1 5000 80\r\n{request}".encode())
        heard = b"".join(iter(lambda: client.recv(65536), b"")).decode().lower()
    assert "x-forwarded-for: 192.0.2.9\n" in heard
    assert "192.0.2.66" not in heard


def test_requests_that_two_servers_could_read_differently(stage: Stage, new_name: Callable[[], str]) -> None:
    app, other = stage.start(new_name()), stage.start(new_name())
    stage.edge.apply(Traffic((route("a.example", app), route("a.example", other, path="/api"), route("*.b.example", other))))

    def raw(*lines: str, body: str = "") -> str:
        with socket.create_connection(("127.0.0.1", stage.settings.http_port), 20) as client:
            client.sendall("\r\n".join([*lines, "Connection: close", "", body]).encode("latin-1"))
            return client.makefile("rb").read().decode("latin-1").lower()

    first = "GET /headers HTTP/1.1"
    assert raw(first, "Host: a.example", "Content-Length: 1", "Content-Length: 2", body="xx").startswith("http/1.1 400")
    assert raw(first, "Host: a.example", "Host: x.b.example").startswith("http/1.1 400")
    both = raw(first, "Host: a.example", "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n")
    assert both.startswith("http/1.1 200")
    assert "content-length: 5" not in both
    for host in (
        "a.example/api",
        "a.example:80@x",
        "a.example x.b.example",
        "x\0.b.example",
        "",
        "a.example|x",
        "a/b.example",
        "x\x0b.b.example",
    ):
        status = raw("GET / HTTP/1.1", f"Host: {host}").split()[1]
        assert status in ("400", "404"), (host, status)
    assert raw("GET http://x.b.example/ HTTP/1.1", "Host: a.example").split()[1] in ("400", "200")


def test_an_app_that_takes_too_long(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    stage.edge.apply(Traffic((route("a.example", app, rules=Rules(secure=False, timeout=1.0)), route("b.example", app))))
    assert ask(stage, "a.example", "/slow/4")[0] == 504
    assert ask(stage, "b.example", "/slow/4")[:2] == (200, app.host)
