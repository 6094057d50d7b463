"""Which requests go where: the routes of apps with domains, as data. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gitdeploy.config.model import WEB, App


@dataclass(frozen=True)
class Upstream:
    """Where an app answers.

    Attributes:
        network: the one of its own on which it has this name.
        host: its name there, which no other app's has.
        port: in its container.
    """

    network: str
    host: str
    port: int

    @property
    def server(self) -> tuple[str, int]:
        """What HAProxy knows it by."""
        return self.host, self.port


@dataclass(frozen=True)
class Rules:
    """What becomes of the requests for an app's domains.

    Attributes:
        secure: whether HTTP is redirected to HTTPS.
        acme: whether the edge answers the authority's questions for this domain.
        canonical: domain that they are redirected to, "" for none.
        hsts: seconds of Strict-Transport-Security, 0 for none.
        max_body: bytes, 0 for no limit.
        timeout: seconds for an answer.
        realm: whose users are let in, "" for everybody.
        maintenance: whether everybody gets the page that says so.
    """

    secure: bool = True
    acme: bool = False
    canonical: str = ""
    hsts: int = 0
    max_body: int = 0
    timeout: float = 3600.0
    realm: str = ""
    maintenance: bool = False


@dataclass(frozen=True)
class Route:
    """One domain, or what begins with one path there.

    Attributes:
        path: "/api", "" for all that no other route has.
        upstreams: one; two while an app moves from one to the other.
        fixed: the backend that HAProxy's configuration has for it, "" for one of those that change.
    """

    domain: str
    path: str
    upstreams: tuple[Upstream, ...]
    rules: Rules
    fixed: str = ""

    @property
    def key(self) -> str:
        """What the map of routes has it by: the longest key that the address begins with counts."""
        return f"{self.domain}{self.path}/"


@dataclass(frozen=True)
class ServedCertificate:
    """A certificate that the edge is to serve.

    Attributes:
        names: what it is served for, () for whatever has no other.
        fingerprint: SHA-256 of the certificate, in hexadecimal digits.
        pem: it, those behind it, and the key.
        not_after: when it ends, in seconds since the epoch.
    """

    names: tuple[str, ...]
    fingerprint: str
    pem: bytes = field(repr=False)
    not_after: float = 0.0


@dataclass(frozen=True)
class Traffic:
    """All that the edge is to do.

    Attributes:
        certificates: the first is served for names that have none; () where no domain has TLS.
        thumbprint: of the ACME account's key (RFC 8555, 8.1), "" for none.
        users: by realm, the SHA-256 digests of the Authorization headers that are let in, in hexadecimal digits.
    """

    routes: tuple[Route, ...] = ()
    certificates: tuple[ServedCertificate, ...] = ()
    thumbprint: str = ""
    users: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def networks(self) -> frozenset[str]:
        """The networks on which its upstreams are."""
        return frozenset(upstream.network for route in self.routes for upstream in route.upstreams if upstream.network)


def routes_of(app: App, upstreams: Callable[[App], Iterable[Upstream]]) -> tuple[Route, ...]:
    """Return the routes of an app.

    Args:
        app: with the domains that it has now.
        upstreams: where one process of it answers; nowhere if it was released without domains.
    """
    rules = Rules(
        secure=app.tls.mode != "off" or app.tls.certificate is not None,
        acme=app.tls.mode == "auto" and app.tls.certificate is None,
        hsts=round(app.proxy.hsts),
        max_body=app.proxy.max_body,
        timeout=app.proxy.timeout,
        realm=app.name if app.proxy.basic_auth else "",
        maintenance=app.proxy.maintenance,
    )
    places = {
        path: tuple(upstreams(app.of_process(process)))
        for path, process in {"": WEB, **app.proxy.routes}.items()
        if process in (WEB, *app.processes)
    }
    return tuple(
        Route(domain, path, places[path], _for_domain(rules, app, domain)) for domain in app.domains for path in places
    )


def _for_domain(rules: Rules, app: App, domain: str) -> Rules:
    return replace(rules, canonical=app.proxy.canonical if domain != app.proxy.canonical else "")
