"""HAProxy's configuration of one app, generated. Pure.

Every published port is a frontend with a backend of its own. Backends have the same fixed slots, `server s1 … sN`; a container
is put into a free slot through the runtime API, by the alias that Docker's DNS knows it by. So a deployment needs no reload,
which would start the counters anew, and a container whose address changes is found again. A Swarm service has several slots:
HAProxy gives each the address of another task, and none to those that are left. The file always says what the runtime API was
told last, for HAProxy may be started again at any time.

Keywords: https://docs.haproxy.org/2.6/configuration.html; 2.6 is the oldest version that is tested.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App
from gitdeploy.config.sections import Health, Router
from gitdeploy.errors import StageFailed
from gitdeploy.targets.check import Check
from gitdeploy.targets.router.preamble import control_section, defaults_section, global_section, resolvers_section

LISTEN = 8000
"""First port in the router's container, one more for each further port of the app: no privilege is needed for any of them."""

FILE = "gitdeploy-haproxy.cfg"
PREVIOUS = f"{FILE}.previous"
DIRECTORY = "/etc"
"""Docker itself makes /etc in every container, so the file can be put there whatever the image is."""

LED = 7997
"""Port in the router's container for the edge alone, which says itself whom a request is from."""

ALIAS = "router"
"""The router's own name on the app's network. An unused slot resolves it: any other name would be asked of outside servers."""

FULL = 100
"""Weight of a server that gets its whole share; HAProxy takes 0 (no new requests) to 256."""

SLOTS_STEP = 8


@dataclass(frozen=True)
class Backend:
    """A container that the router knows, or one of those of a Swarm service: as many have its alias as it may have slots.

    Attributes:
        alias: its name on the app's network; `tasks.SERVICE` for a service's, of which each slot gets one by Docker's DNS.
        address: its IP address there, "" where it is not known (Docker's DNS tells HAProxy).
        weight: 0 gets no new requests, and what runs goes on.
    """

    alias: str
    address: str = ""
    weight: int = 0


Table = Mapping[int, Backend]
"""Slot number, from 1, to what is in it; empty slots are left out."""


@dataclass(frozen=True)
class Settings:
    """All that decides the configuration but the servers.

    Attributes:
        ports: container ports that are published, each once.
        health: the backend of its port tells whether a server is up.
        slots: how many servers there may be.
        http_check: whether HAProxy asks what the deployment asked, instead of a TCP connect.
        services: whether aliases are those of Swarm services, whose tasks come, go and move to other machines.
        led: the one of them that the app's domains lead to, 0 for none.
        control: the control network where there are routers on several machines, "10.0.3.0/24"; else "".
    """

    app: str
    ports: tuple[int, ...]
    router: Router
    check: Check
    health: Health
    slots: int
    http_check: bool
    services: bool = False
    control: str = ""
    led: int = 0


def settings(app: App, check: Check, servers: int, *, services: bool = False) -> Settings:
    """Return the settings for an app that may have `servers` containers, or tasks of its services, at the same time."""
    slots = -(-servers // SLOTS_STEP) * SLOTS_STEP
    # With one server a failing check could only turn its answers into 503s; but nobody else asks the tasks of a service.
    http_check = check.kind == "http" and (app.replicas > 1 or services)
    ports = published_ports(app)
    return Settings(app.name, ports, app.router, check, app.health, slots, http_check, services, led=app.led_to)


def published_ports(app: App) -> tuple[int, ...]:
    """Return the container ports behind the router, each once: those published, in their order, and what domains lead to."""
    ports = [p.container_port for p in app.publish if p.protocol == "tcp"]
    return tuple(dict.fromkeys([*ports, *([app.led_to] if app.led_to else [])]))


def published(app: App) -> tuple[Publish, ...]:
    """Return what the router's container publishes in the app's place."""
    ports = published_ports(app)
    return tuple(
        Publish(p.host_ip, p.host_port, LISTEN + ports.index(p.container_port)) for p in app.publish if p.protocol == "tcp"
    )


def backend(port: int) -> str:
    """Return the name of the backend of a container port."""
    return f"port-{port}"


def health_backend(s: Settings) -> str:
    """Return the backend whose checks tell whether a server is up: that of the port that is asked, else of the first."""
    return backend(s.check.port if s.check.port in s.ports else next(iter(s.ports), 0))


def shape(s: Settings) -> str:
    """Return names the configuration whatever the servers are: HAProxy must read its file again when this changes."""
    return hashlib.sha256("\n".join(_lines(s, {}, "")).encode()).hexdigest()[:12]


def render(s: Settings, table: Table) -> bytes:
    """Return the configuration file. Raises StageFailed for a health check that cannot be written into it."""
    return ("\n".join(_lines(s, table, shape(s))) + "\n").encode()


def _lines(s: Settings, table: Table, digest: str) -> list[str]:
    lines = [*global_section(s, digest), *defaults_section(s), *resolvers_section(s)]
    for number, port in enumerate(s.ports):
        lines += [*_frontend(s, number, port), *_backend(s, port)]
        lines += [_server(s, port, slot, table.get(slot)) for slot in range(1, s.slots + 1)]
    return lines + (control_section(s) if s.control else [])


GIVE_UP = {"net.ipv4.tcp_retries2": "5"}
"""The same for what it never acknowledged: after 13 s instead of 15 minutes; HAProxy 2.6 heeds no `tcp-ut` of a server that DNS
tells the address of. Of the container's own network."""


def _frontend(s: Settings, number: int, port: int) -> list[str]:
    lines = [f"frontend public-{port}", f"    bind :{LISTEN + number}", f"    default_backend {backend(port)}"]
    if s.led:
        lines.append("    option forwardfor")
    if port == s.led:
        lines += [f"frontend led-{port}", f"    bind :{LED}", f"    default_backend {backend(port)}"]
    return lines


def _backend(s: Settings, port: int) -> list[str]:
    lines = [f"backend {backend(port)}"]
    if s.router.mode == "http":  # a repeated POST could do its work twice
        lines.append("    http-request disable-l7-retry unless { method GET HEAD OPTIONS }")
    if s.http_check and backend(port) == health_backend(s):
        headers = dict(s.health.headers)
        if "host" not in map(str.lower, headers):
            headers["Host"] = s.app.partition("/")[2]
        sent = "".join(f" hdr {quoted(name)} {quoted(value.replace('%', '%%'))}" for name, value in headers.items())
        return [
            *lines,
            "    option httpchk",
            f"    http-check send meth GET uri {quoted(s.health.path)} ver HTTP/1.1{sent}",
            f"    http-check expect status {quoted(','.join(s.health.status))}",
        ]
    # "linger" ends the connection in order: a reset makes some servers write a traceback for every check.
    return [*lines, "    option tcp-check", "    tcp-check connect linger"]


def _server(s: Settings, port: int, slot: int, server: Backend | None) -> str:
    options = ""
    if s.router.proxy_protocol:
        options += " send-proxy check-send-proxy"
    if s.check.port and backend(port) == health_backend(s):
        options += f" port {s.check.port}"
    if server is None:
        return f"    server s{slot} 127.0.0.1:{port}{options} disabled"
    if s.services and server.address:
        options += f" init-addr {server.address},none"
    return f"    server s{slot} {server.alias}:{port}{options} weight {server.weight}"


def quoted(text: str) -> str:
    """Return one argument, taken literally. Raises StageFailed for what would end the line.

    Quoting: https://docs.haproxy.org/2.6/configuration.html#2.2
    """
    if not text.isprintable():
        raise StageFailed(f"[apps.X.health]: expected printable text, found {text!r}", "correct it, commit and push")
    return "'" + text.replace("'", "'\\''") + "'"
