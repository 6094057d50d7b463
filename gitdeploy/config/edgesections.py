"""What stands in front of apps, as data with its built-in defaults: `[edge]`, and an app's `tls` and `[apps.X.proxy]`.

Durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

HTTP_INSIDE, HTTPS_INSIDE = 8080, 8443
"""Ports in the edge's container: no privilege is needed for them."""

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


@dataclass(frozen=True)
class Tls:
    """`tls = "auto"`, or `[apps.X.tls]` with files: whose certificate an app's domains have.

    Attributes:
        mode: "auto" orders one of the authority, "internal" has one of gitdeploy's own, "off" answers HTTP alone.
        certificate: PEM file of the server's with the certificate and what signed it; None to go by `mode`.
        key: PEM file with its private key, 0600.
    """

    mode: Literal["auto", "internal", "off"] = "auto"
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Proxy:
    """`[apps.X.proxy]`: what becomes of requests for an app's domains.

    Attributes:
        routes: beginning of a path, "/api" → process that answers there; "web" answers the rest.
        canonical: the one domain that the others are redirected to, "" for none.
        hsts: seconds that browsers are to insist on HTTPS, 0.0 to say nothing of it.
        basic_auth: file with USER:PASSWORD lines, 0600; None lets everybody in.
        max_body: bytes of a request's body, 0 for no limit.
        timeout: seconds that the app may take to answer.
        maintenance: whether everybody gets the page that says so, and the app no request.
    """

    routes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    canonical: str = ""
    hsts: float = 0.0
    basic_auth: Path | None = None
    max_body: int = 0
    timeout: float = 3600.0
    maintenance: bool = False


@dataclass(frozen=True)
class EdgeSettings:
    """`[edge]`: the HAProxy in front of all apps that have domains.

    Attributes:
        image: of its container.
        email: where the authority writes to, "" for nowhere.
        acme: directory URL of the authority.
        acme_root: certificate that signed the authority's own, where no system knows it.
        eab_id: of an account that exists at the authority otherwise (external account binding), "" for none.
        eab_key: file with the HMAC key that belongs to it, in base64url, 0600.
        listen: addresses of this machine, () for all.
        http_port: port for HTTP.
        https_port: port for HTTPS.
        http3: whether HTTP/3 is spoken, too, which the image has to know.
        trusted_proxies: networks whose X-Forwarded-… headers are believed.
        proxy_protocol: whether those send the PROXY protocol instead.
        error_page: HTML file that is shown while an app does not serve; None for a line of text.
        git: domain of the Git server, "" for none.
        git_address: where that answers HTTP, "HOST:PORT".
    """

    image: str = "haproxy:3.0-alpine"
    email: str = ""
    acme: str = LETS_ENCRYPT
    acme_root: Path | None = None
    eab_id: str = ""
    eab_key: Path | None = None
    listen: tuple[str, ...] = ()
    http_port: int = 80
    https_port: int = 443
    http3: bool = False
    trusted_proxies: tuple[str, ...] = ()
    proxy_protocol: bool = False
    error_page: Path | None = None
    git: str = ""
    git_address: str = ""
