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

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.edge.edgemaps import (
    FIELDS,
    PREFIX,
    Backends,
    Servers,
    certificate_file,
    certificate_line,
    path_of,
    route_map,
    setting_map,
    user_map,
)
from gitdeploy.edge.route import Traffic

ADMIN_PORT = 7999
"""Of the runtime API, on the loopback interface of the edge's own network namespace: only `docker exec` gets there."""

HTTP_PORT, HTTPS_PORT = 8080, 8443
"""In the container: no privilege is needed for them."""

FILE, ROUTES, USERS, SETTINGS, CRT_LIST, AWAY = (f"{PREFIX}{end}" for end in ("cfg", "routes", "users", "set", "crt", "away"))

STEP = 16
"""Backends are there in steps of so many: beyond them HAProxy has to read its file again."""

PLACES = 2
"""Servers of a backend: what serves, and what is to."""

AWAY_TEXT = (
    b"<!doctype html><title>503</title><h1>This site is not available right now</h1><p>Please try again in a moment.</p>\n"
)
CHALLENGE = r"^/\.well-known/acme-challenge/[A-Za-z0-9_-]{1,200}$"
EMPTY: Backends = MappingProxyType({})


def files(s: EdgeSettings, t: Traffic, backends: Backends, rooms: int, away: bytes) -> dict[str, bytes]:
    """Return all files, by name.

    Args:
        backends: where the upstreams of the routes are.
        rooms: how many backends there are.
        away: the page for what does not serve, b"" for a line of text.
    """
    return {
        FILE: _text(_config(s, rooms, bool(t.certificates), backends, shape(s, t, rooms))),
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


def shape(s: EdgeSettings, t: Traffic, rooms: int) -> str:
    """Return names what only a reload can change."""
    return hashlib.sha256(_text(_config(s, rooms, bool(t.certificates), EMPTY, ""))).hexdigest()[:12]


def _map(entries: Mapping[str, str]) -> bytes:
    return _text(f"{key} {value}" for key, value in sorted(entries.items()))


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _config(s: EdgeSettings, number: int, tls: bool, backends: Backends, digest: str) -> list[str]:
    lines = [*_global(digest), *_defaults(), *_frontend("http", f":{HTTP_PORT}", s)]
    if tls:
        bind = f":{HTTPS_PORT} ssl crt-list {path_of(CRT_LIST)} alpn h2,http/1.1"
        lines += _frontend("https", bind, s)
    lines += ["backend away", "    http-request return status 503 " + _PAGE]
    for backend in range(1, number + 1):
        lines += _backend(backend, backends.get(backend, {}))
    return lines


_PAGE = f'content-type "text/html; charset=utf-8" file {path_of(AWAY)} hdr Retry-After 10'


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
        "resolvers docker",
        "    nameserver docker 127.0.0.11:53",
        "    resolve_retries 3",
        "    timeout resolve 1s",
        "    timeout retry 1s",
        "    hold valid 1s",
        *(f"    hold {why} 30s" for why in ("nx", "other", "refused", "timeout")),
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
    return [
        f"frontend {name}",
        f"    bind {bind}",
        *expect,
        *(f"    {line}" for line in (*_client("" if s.proxy_protocol else trusted), *_route(), *_answer())),
        "    use_backend %[var(txn.backend)]",
    ]


def _client(trusted: str) -> list[str]:
    """Return what tells the app of the client; what a client says of itself is believed of trusted proxies alone."""
    unless = f" unless {trusted}" if trusted else ""
    headers = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded")
    return [
        *(f"http-request del-header {header}{unless}" for header in headers),
        "http-request add-header X-Forwarded-For %[src]",
        "http-request set-header X-Forwarded-Proto https if { ssl_fc } !{ req.hdr(X-Forwarded-Proto) -m found }",
        "http-request set-header X-Forwarded-Proto http if !{ req.hdr(X-Forwarded-Proto) -m found }",
        "http-request set-header X-Forwarded-Host %[req.hdr(host)] if !{ req.hdr(X-Forwarded-Host) -m found }",
    ]


def _route() -> list[str]:
    """Return the look into the map: the name itself, then the wildcard that it falls under."""
    look = f"concat(,txn.path,/),map_beg({path_of(ROUTES)})"
    missing = "unless { var(txn.route) -m found }"
    return [
        "http-request set-var(txn.path) path",
        "http-request set-var(txn.host) req.hdr(host),field(1,:),lower,rtrim(.)",
        f"http-request set-var(txn.route) var(txn.host),{look}",
        f"http-request set-var(txn.route) var(txn.host),regsub(^[^.]*,*),{look} {missing}",
        f'http-request return status 404 content-type text/plain string "No app has this address.\\n" {missing}',
        *(f"http-request set-var(txn.{name}) var(txn.route),field({n},|)" for n, name in enumerate(FIELDS, 1)),
    ]


def _answer() -> list[str]:
    """Return what the edge answers itself."""

    def given(name: str) -> str:
        return f"{{ var(txn.{name}) -m len gt 0 }}"

    thumbprint = f"str(thumbprint),map({path_of(SETTINGS)})"
    over = "{ req.hdr_val(content-length),sub(txn.max) gt 0 }"
    realm = f"{{ var(txn.realm),concat(:,txn.digest),map({path_of(USERS)}) -m found }}"
    return [
        f'http-request return status 200 content-type text/plain lf-string "%[path,field(4,/)].%[{thumbprint}]" '
        f"if {{ path_reg {CHALLENGE} }} {given('acme')} {{ {thumbprint} -m found }}",
        f"http-request redirect scheme https code 308 if {given('secure')} !{given('canonical')} "
        "!{ req.hdr(X-Forwarded-Proto) https }",
        f"http-request redirect location https://%[var(txn.canonical)]%[capture.req.uri,regsub(^https?://[^/]*,)] code 308 "
        f"if {given('canonical')} {given('secure')}",
        f"http-request redirect location http://%[var(txn.canonical)]%[capture.req.uri,regsub(^https?://[^/]*,)] code 308 "
        f"if {given('canonical')}",
        f"http-request set-var(txn.digest) req.hdr(authorization),sha2(256),hex,lower if {given('realm')}",
        'http-request return status 401 content-type text/plain string "Please sign in.\\n" '
        f'hdr WWW-Authenticate "Basic realm=\\"restricted\\"" if {given("realm")} !{realm}',
        f"http-request del-header Authorization if {given('realm')}",
        f"http-request return status 503 {_PAGE} if {given('maintenance')}",
        f'http-request return status 413 content-type text/plain string "This is too large.\\n" if {given("max")} {over}',
        f"http-response set-header Strict-Transport-Security %[var(txn.hsts)] if {given('hsts')} {{ ssl_fc }}",
    ]


def addressed(file: bytes, addresses: Mapping[tuple[str, int], str]) -> bytes:
    """Return the configuration to be read by a running HAProxy, which is not to wait for DNS: with these addresses of servers.

    They are not to stay in it: when HAProxy starts some other day, somebody else may have them.
    """

    def tell(found: re.Match[bytes]) -> bytes:
        address = addresses.get((found[1].decode(), int(found[2])), "")
        return found[0] + (f" init-addr {address},none".encode() if address else b"")

    return re.sub(rb"^    server s\d+ ([^:\s]+):(\d+)$", tell, file, flags=re.MULTILINE)


def _backend(number: int, servers: Servers) -> list[str]:
    lines = [
        f"backend r{number}",
        "    http-request set-timeout server var(txn.timeout)",
        "    http-request disable-l7-retry unless { method GET HEAD OPTIONS }",  # a repeated POST could do its work twice
        "    option tcp-check",
        "    tcp-check connect linger",
    ]
    for place in range(1, PLACES + 1):
        name, port = servers.get(place, ("", 0))
        lines.append(f"    server s{place} {name}:{port}" if name else f"    server s{place} 127.0.0.1:1 disabled")
    return lines
