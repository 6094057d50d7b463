"""HAProxy's configuration of the edge, and its maps, generated. Pure.

Names and what belongs to them stand in maps, certificates in a crt-list, apps in backends that are there beforehand: all
of that changes through the runtime API, so that no route needs a reload. The files always say what the runtime API was told
last, for HAProxy may be started again at any time.

Keywords: https://docs.haproxy.org/2.6/configuration.html; 2.6 is the oldest version that is tested.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from gitdeploy.config.edgesections import HTTP_INSIDE, HTTPS_INSIDE, EdgeSettings
from gitdeploy.edge.dockerdns import resolvers
from gitdeploy.edge.edgemaps import (
    AWAY,
    CRT_LIST,
    FILE,
    GIT,
    ROUTES,
    SETTINGS,
    USERS,
    Backends,
    Servers,
    certificate_file,
    certificate_line,
    path_of,
    route_map,
    setting_map,
    user_map,
)
from gitdeploy.edge.edgerules import PAGE, SOME, field, given, rules
from gitdeploy.edge.route import Traffic

ADMIN_PORT = 7999
"""Of the runtime API, on the loopback interface of the edge's own network namespace: only `docker exec` gets there."""

STEP = 16
"""Backends are there in steps of so many: beyond them HAProxy has to read its file again."""

PLACES = 2
"""Servers of a backend: what serves, and what is to."""

AWAY_TEXT = (
    b"<!doctype html><title>503</title><h1>This site is not available right now</h1><p>Please try again in a moment.</p>\n"
)
EMPTY: Backends = MappingProxyType({})


def files(s: EdgeSettings, t: Traffic, backends: Backends, rooms: int, away: bytes) -> dict[str, bytes]:
    """Return all files, by name.

    Args:
        backends: where the upstreams of the routes are.
        rooms: how many backends there are.
        away: the page for what does not serve, b"" for a line of text.
    """
    return {
        FILE: _text(_config(s, rooms, bool(t.certificates), backends, shape(s, t, rooms, away))),
        ROUTES: _map(route_map(t.routes, backends)),
        USERS: _map(user_map(t)),
        SETTINGS: _map(setting_map(t)),
        CRT_LIST: _text(certificate_line(certificate) for certificate in t.certificates),
        AWAY: away or AWAY_TEXT,
        **{certificate_file(certificate): certificate.pem for certificate in t.certificates},
    }


def rooms_for(backends: Backends, there: int) -> int:
    """Return how many backends there are to be, if so many are there: what is not needed any more costs no reload."""
    return max(there, -(-max(backends, default=1) // STEP) * STEP)


def shape(s: EdgeSettings, t: Traffic, rooms: int, away: bytes) -> str:
    """Return what names all that only a reload can change: the configuration but for servers, and the page."""
    return hashlib.sha256(_text(_config(s, rooms, bool(t.certificates), EMPTY, "")) + away).hexdigest()[:12]


def _map(entries: Mapping[str, str]) -> bytes:
    return _text(f"{key} {value}" for key, value in sorted(entries.items()))


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _config(s: EdgeSettings, number: int, tls: bool, backends: Backends, digest: str) -> list[str]:
    lines = [*_global(digest), *_defaults(), *_frontend("http", f":{HTTP_INSIDE}", s)]
    if tls:
        serve = f"ssl crt-list {path_of(CRT_LIST)} alpn"
        lines += _frontend("https", f":{HTTPS_INSIDE} {serve} h2,http/1.1", s)
        if s.http3:
            offer = f'h3=\\":{s.https_port}\\"; ma=86400'
            lines += [f"    bind quic4@:{HTTPS_INSIDE} {serve} h3", f'    http-response set-header Alt-Svc "{offer}"']
    lines += ["backend away", "    http-request return status 503 " + PAGE]
    if s.git:
        lines += [*_backend_head(GIT), f"    server git {s.git_address} init-addr last,libc,none"]
    for backend in range(1, number + 1):
        lines += _backend(backend, backends.get(backend, {}))
    return lines


def _global(digest: str) -> list[str]:
    return [
        "# made by gitdeploy, which overwrites changes",
        "global",
        f"    description {digest}",
        "    log stdout format raw local0 notice",
        f"    stats socket ipv4@127.0.0.1:{ADMIN_PORT} level admin",
        "    stats timeout 10s",
        "    fd-hard-limit 40000",
        "    tune.bufsize 32768",
        "    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        "    hard-stop-after 1d",  # a reload leaves WebSockets and downloads of all apps alone
        *resolvers(),
    ]


def _defaults() -> list[str]:
    return [
        "defaults",
        "    mode http",
        "    timeout connect 2s",  # a container that is gone answers nothing, and its address refuses nothing
        "    timeout client 1h",
        "    timeout server 1h",
        "    timeout tunnel 1d",
        "    timeout http-request 1m",
        "    timeout http-keep-alive 5m",
        "    timeout check 5s",
        "    option clitcpka",
        "    option srvtcpka",
        "    option idle-close-on-response",
        "    retries 3",
        "    option redispatch 1",
        "    retry-on conn-failure empty-response",
        "    default-server check inter 1s fastinter 250ms downinter 500ms fall 3 rise 1 init-addr none resolvers docker "
        "resolve-prefer ipv4",
        *(
            f'    http-error status {status} content-type "text/html; charset=utf-8" file {path_of(AWAY)}'
            for status in (502, 503)
        ),
    ]


def _frontend(name: str, bind: str, s: EdgeSettings) -> list[str]:
    trusted = f"{{ src {' '.join(s.trusted_proxies)} }}" if s.trusted_proxies else ""
    expect = [f"    tcp-request connection expect-proxy layer4 if {trusted}"] if s.proxy_protocol else []
    told = "" if s.proxy_protocol else trusted
    return [
        f"frontend {name}",
        f"    bind {bind}",
        *expect,
        *(f"    {rule}" for rule in rules(name, told)),
        "    use_backend %[var(txn.route),field(1,|)]",
    ]


def addressed(file: bytes, addresses: Mapping[tuple[str, int], str]) -> bytes:
    """Return the configuration to be read by a running HAProxy, which is not to wait for DNS: with these addresses of servers.

    They are not to stay in it: when HAProxy starts some other day, somebody else may have them.
    """

    def tell(found: re.Match[bytes]) -> bytes:
        address = addresses.get((found[1].decode(), int(found[2])), "")
        return found[0] + (f" init-addr {address},none".encode() if address else b"")

    return re.sub(rb"^    server s\d+ ([^:\s]+):(\d+)$", tell, file, flags=re.MULTILINE)


def _backend_head(name: str) -> list[str]:
    return [
        f"backend {name}",
        f"    http-request set-timeout server {field('timeout')} if {SOME} {given('timeout')}",
        "    http-request disable-l7-retry unless { method GET HEAD OPTIONS }",  # a repeated POST could do its work twice
        "    option tcp-check",
        "    tcp-check connect linger",
    ]


def _backend(number: int, servers: Servers) -> list[str]:
    lines = _backend_head(f"r{number}")
    for place in range(1, PLACES + 1):
        name, port = servers.get(place, ("", 0))
        lines.append(f"    server s{place} {name}:{port}" if name else f"    server s{place} 127.0.0.1:1 disabled")
    return lines
