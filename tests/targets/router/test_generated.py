"""HAProxy's configuration as text; HAProxy itself reads it in test_checked.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App
from gitdeploy.config.sections import Health
from gitdeploy.errors import StageFailed
from gitdeploy.targets.check import Check
from gitdeploy.targets.router.addressing import addressed
from gitdeploy.targets.router.haproxycfg import Backend, Settings, published, quoted, render, settings, shape

APP = App(
    "devops/dev-app",
    "6ain/dev-app",
    "dev-app",
    publish=(Publish("", 8080, 80), Publish("127.0.0.1", 8081, 80), Publish("", 8443, 443)),
)


def made(app: App = APP, check: Check = Check("tcp", 80), **router: object) -> Settings:  # noqa: B008
    return settings(replace(app, router=replace(app.router, **router)), check, 2)  # type: ignore[arg-type]


def lines(s: Settings, **servers: Backend) -> list[str]:
    table = {int(slot.removeprefix("s")): server for slot, server in servers.items()}
    return [line.strip() for line in render(s, table).decode().splitlines()]


def test_a_frontend_for_each_port() -> None:
    text = lines(made())
    assert [line for line in text if line.startswith(("frontend", "bind", "default_backend", "backend"))] == [
        *("frontend public-80", "bind :8000", "default_backend port-80", "backend port-80"),
        *("frontend public-443", "bind :8001", "default_backend port-443", "backend port-443"),
    ]


def test_the_router_publishes_what_the_app_would() -> None:
    assert published(APP) == (Publish("", 8080, 8000), Publish("127.0.0.1", 8081, 8000), Publish("", 8443, 8001))


def test_servers_in_their_slots() -> None:
    text = lines(made(), s2=Backend("r7-1", "10.0.0.2", 100))
    assert "server s1 127.0.0.1:80 port 80 disabled" in text
    assert "server s2 r7-1:80 port 80 weight 100" in text
    assert "server s2 r7-1:443 weight 100" in text


@pytest.mark.parametrize(("servers", "slots"), [(1, 8), (8, 8), (9, 16), (64, 64)])
def test_slots_come_in_eights(servers: int, slots: int) -> None:
    assert settings(APP, Check("uptime"), servers).slots == slots


def test_the_shape_does_not_depend_on_servers() -> None:
    s = made()
    assert f"description {shape(s)}" in lines(s)
    assert f"description {shape(s)}" in lines(s, s1=Backend("r1-1", "", 100))


@pytest.mark.parametrize(
    "other",
    [
        made(mode="tcp"),
        made(drain_timeout=31.0),
        made(check=Check("tcp", 443)),
        settings(APP, Check("tcp", 80), 9),
        made(replace(APP, publish=APP.publish[:1])),
        made(replace(APP, health=Health(timeout=1.0))),
    ],
)
def test_the_shape_depends_on_all_else(other: Settings) -> None:
    assert shape(other) != shape(made())


def test_http_knows_the_client_and_repeats_no_post() -> None:
    text = lines(made())
    assert "option forwardfor" in text
    assert "http-request disable-l7-retry unless { method GET HEAD OPTIONS }" in text


def test_tcp_may_speak_the_proxy_protocol() -> None:
    text = lines(made(mode="tcp", proxy_protocol=True), s1=Backend("r1-1", "", 1))
    assert "mode tcp" in text
    assert "server s1 r1-1:443 send-proxy check-send-proxy weight 1" in text
    assert not [line for line in text if "http" in line]


def test_one_server_is_only_asked_to_connect() -> None:
    health = Health(path="/health", headers={"Host": "app.example"})
    assert not any(line.startswith("http-check") for line in lines(made(replace(APP, health=health), Check("http", 80))))


def test_the_only_task_of_a_service_is_asked_as_the_deployment_asks() -> None:
    """Nobody else does: tasks may be on machines that gitdeploy does not reach."""
    app = replace(APP, health=Health(path="/health"))
    assert any(line.startswith("http-check") for line in lines(settings(app, Check("http", 80), 2, services=True)))
    assert not any(line.startswith("http-check") for line in lines(settings(app, Check("tcp", 80), 2, services=True)))


def test_several_servers_are_asked_as_the_deployment_asks() -> None:
    health = Health(path="/a?b=1%20", status=("200-299", "404"), headers={"host": "it's", "X-A": "100%"}, port=443)
    text = lines(made(replace(APP, health=health, replicas=2), Check("http", 443)), s1=Backend("r1-1", "", 1))
    assert "http-check send meth GET uri '/a?b=1%20' ver HTTP/1.1 hdr 'host' 'it'\\''s' hdr 'X-A' '100%%'" in text
    assert "http-check expect status '200-299,404'" in text
    assert text.index("backend port-443") < text.index("option httpchk")
    assert "server s1 r1-1:443 port 443 weight 1" in text


def test_the_port_that_is_asked_need_not_be_published() -> None:
    assert "server s1 r1-1:80 port 9000 weight 1" in lines(made(check=Check("tcp", 9000)), s1=Backend("r1-1", "", 1))


def test_tasks_of_services_are_found_by_dns_alone() -> None:
    s = replace(made(), services=True)
    text = lines(s, s1=Backend("tasks.a", "", 100), s2=Backend("tasks.a", "", 100), s3=Backend("tasks.a", "10.0.1.3", 0))
    assert "default-server init-addr none resolvers docker resolve-prefer ipv4" in text
    assert [line for line in text if "tasks.a:443" in line] == [
        "server s1 tasks.a:443 weight 100",
        "server s2 tasks.a:443 weight 100",
        "server s3 tasks.a:443 init-addr 10.0.1.3,none weight 0",  # while it is known, as for a reload
    ]
    only = set(text) - set(lines(made()))
    assert {"accepted_payload_size 8192", "srvtcpka-idle 5s", "timeout connect 2s"} < only
    assert shape(s) != shape(made())


def test_a_file_without_addresses_is_given_those_of_tasks() -> None:
    s, table = replace(made(), services=True), {1: Backend("tasks.a", "10.0.1.3", 7), 2: Backend("b", "10.0.1.4", 7)}
    bare = {slot: replace(server, address="") for slot, server in table.items()}
    whole = {1: table[1], 2: bare[2]}
    assert sorted(addressed(render(s, bare), table).split()) == sorted(render(s, whole).split())
    assert addressed(render(s, bare), {1: table[2]}) == render(s, bare)
    assert shape(s).encode() in addressed(render(s, bare), table)


@pytest.mark.parametrize("text", ["a\nlua-load x", "a\rb", "\0", "\x1b[2J", "a\u2028b"])
def test_what_could_end_a_line_is_refused(text: str) -> None:
    with pytest.raises(StageFailed):
        quoted(text)
