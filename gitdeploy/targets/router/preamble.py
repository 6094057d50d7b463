"""What stands around the servers in HAProxy's configuration: limits, timeouts, Docker's DNS, the way to its runtime API. Pure.

Keywords: as in `haproxycfg`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitdeploy.edge.dockerdns import resolvers

if TYPE_CHECKING:
    from gitdeploy.targets.router.haproxycfg import Settings

ADMIN_PORT = 7999
"""Of the runtime API, on the loopback interface of the router's own network namespace: only `docker exec` gets there."""

CONTROL_PORT = 7998
"""Leads there from the app's control network, on which there are its routers alone."""


_MANY_MACHINES = [f"    {line}" for line in ("srvtcpka-idle 5s", "srvtcpka-intvl 5s", "srvtcpka-cnt 1")]
"""A machine that is gone ends no connection: what waits for it is to fail, and be repeated elsewhere if it may, not hang."""


def global_section(s: Settings, digest: str) -> list[str]:
    """Return what is set for all of HAProxy."""
    return [
        f"# {s.app}: made by gitdeploy, which overwrites changes",
        "global",
        f"    description {digest}",
        "    log stdout format raw local0 notice",
        f"    stats socket ipv4@127.0.0.1:{ADMIN_PORT} level admin",
        "    stats timeout 10s",
        "    fd-hard-limit 20000",  # else memory is set aside for a million connections where the engine allows that many
        "    tune.bufsize 32768",  # limits the size of request headers, to what application servers take
        f"    hard-stop-after {_milliseconds(s.router.drain_timeout)}",
    ]


def defaults_section(s: Settings) -> list[str]:
    """Return timeouts long enough that what worked without a router works with one."""
    common = [
        "defaults",
        f"    mode {s.router.mode}",
        f"    timeout connect {'2s' if s.services else '5s'}",
        "    timeout client 1h",
        "    timeout server 1h",
        "    timeout tunnel 1d",
        f"    timeout check {_milliseconds(s.health.timeout)}",
        "    option clitcpka",
        "    option srvtcpka",
        "    retries 3",
        "    option redispatch 1",
        "    default-server check inter 500ms fastinter 250ms downinter 250ms fall 3 rise 1",
        f"    default-server init-addr {'none' if s.services else 'libc,none'} resolvers docker resolve-prefer ipv4",
        *(_MANY_MACHINES if s.services else []),
    ]
    if s.router.mode == "tcp":
        return [*common, "    balance leastconn"]
    return [
        *common,
        "    balance roundrobin",
        "    timeout http-keep-alive 10m",
        *([] if s.led else ["    option forwardfor"]),  # the edge tells of the client itself
        "    option idle-close-on-response",  # a reload must not close a connection on which a request is on its way
        "    retry-on conn-failure empty-response",
    ]


def resolvers_section(s: Settings) -> list[str]:
    """Return the way to Docker's DNS."""
    return resolvers(*(["    accepted_payload_size 8192"] if s.services else []))  # 512 bytes hold few tasks


def control_section(s: Settings) -> list[str]:
    """Return the way to the runtime API for the app's other routers and for gitdeploy, and for nobody on the app's network."""
    return [
        "defaults",
        "    mode tcp",
        "    timeout connect 5s",
        "    timeout client 1m",
        "    timeout server 1m",
        "frontend control",
        f"    bind :{CONTROL_PORT}",
        f"    tcp-request connection reject unless {{ dst {s.control} }} {{ src {s.control} }}",
        "    default_backend control",
        "backend control",
        f"    server here 127.0.0.1:{ADMIN_PORT}",
    ]


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
