"""Keys of what stands in front of apps: an app's domains, `tls`, `[apps.X.proxy]`, and `[edge]`.

Who may set one: see `keys`. A domain is known to other people, so a tree has those that `allow` hands it, and no other app's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType

from gitdeploy.config import formats as f
from gitdeploy.config.key import Key
from gitdeploy.config.problems import BadValue
from gitdeploy.config.values import FLAG, Kind, choice, duration, many, matching, named, size, whole

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EXPECTED = 'a domain in lower case such as "shop.example.com" or "*.example.com"'


def _parse_domain(value: object) -> str:
    if not isinstance(value, str):
        raise BadValue(_EXPECTED, value)
    if not value.isascii():
        raise BadValue(f'{_EXPECTED}; of a name in other letters its form in DNS, "xn--…"', value)
    try:
        ipaddress.ip_address(value.strip("[]"))
    except ValueError:
        pass
    else:
        raise BadValue(f"{_EXPECTED}, no address: publish a port for that", value)
    name = value.removeprefix("*.")
    labels = name.split(".")
    if len(name) > 253 or len(labels) < 2 or not all(re.fullmatch(_LABEL, label) for label in labels) or labels[-1].isdigit():
        raise BadValue(_EXPECTED, value)
    return value


DOMAIN = Kind(_EXPECTED, _parse_domain)


def _parse_network(value: object) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise BadValue('a network such as "10.0.0.0/8", or an address', value) from None


def _parse_address(value: object) -> str:
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        raise BadValue('an address of this machine such as "203.0.113.7"', value) from None


NETWORK = Kind('a network such as "10.0.0.0/8"', _parse_network)
ADDRESS = Kind('an address such as "203.0.113.7"', _parse_address)
EMAIL = matching(r"|[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}", 'an e-mail address, or ""')
BEGINNING = matching(r"/[A-Za-z0-9._~/-]{0,200}(?<!/)", 'the beginning of a path such as "/api", without "/" at its end')
PROCESS = matching(r"[a-z][a-z0-9-]{0,29}", 'a process such as "api"')
PLACE = matching(r"|(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}", '"HOST:PORT", or ""')

EDGE_APP_KEYS = (
    Key("domains", many(DOMAIN), "names that lead here on ports 80 and 443", "allow", ["shop.example.com"]),
    Key("port", whole(0, 65535), "container port that domains lead to, 0 for the first published one", "yes"),
    Key("tls.mode", choice("auto", "internal", "off"), 'auto (by [edge] acme) | internal | off; or tls = "auto"'),
    Key("tls.certificate", f.PATH, "PEM, with what signed it", example="/etc/ssl/shop.pem"),
    Key("tls.key", f.PATH, "PEM, mode 0600", example="/etc/ssl/shop.key"),
    Key("proxy.routes", named(BEGINNING, PROCESS), "paths that a process of its own answers", "allow", {"/api": "worker"}),
    Key("proxy.canonical", f.or_none(DOMAIN), "the domain that the others redirect to", "allow", "shop.example.com"),
    Key("proxy.hsts", duration("0s", "730d"), "Strict-Transport-Security, 0 for none", "allow"),
    Key("proxy.basic_auth", f.PATH, "USER:PASSWORD lines, mode 0600", example="/var/lib/gitdeploy/secrets/shop.users"),
    Key("proxy.max_body", size(0, 10**15), "limit of a request's body by its Content-Length, 0 for none", "allow"),
    Key("proxy.timeout", duration("1s", "1d"), "limit of the app for an answer", "allow"),
    Key("proxy.maintenance", FLAG, "everybody gets a page that says so, and the app no request", "allow"),
)

EDGE_KEYS: Mapping[str, Key] = MappingProxyType(
    {
        key.path: key
        for key in (
            Key("image", f.IMAGE_WITH_TAG, "of the HAProxy container on ports 80 and 443"),
            Key("email", EMAIL, "where the authority writes to", example="ops@example.com"),
            Key("acme", matching(r"https://[!-~]{1,2000}", "the directory URL of an ACME server"), "the authority's directory"),
            Key("acme_root", f.PATH, "certificate that signed the authority's own", example="/etc/ssl/private-ca.pem"),
            Key(
                "eab_id",
                matching(r"|[!-~]{1,500}", 'the identifier of an account, or ""'),
                "of an account made there",
                example="kid-1",
            ),
            Key("eab_key", f.PATH, "its HMAC key in base64url, mode 0600", example="/var/lib/gitdeploy/secrets/eab.key"),
            Key("listen", many(ADDRESS), "addresses of this machine; none: all", example=["203.0.113.7"]),
            Key("http_port", whole(1, 65535), "port for HTTP"),
            Key("https_port", whole(1, 65535), "port for HTTPS"),
            Key("http3", FLAG, "HTTP/3, too: the image needs HAProxy with QUIC"),
            Key("trusted_proxies", many(NETWORK), "whose X-Forwarded-… headers are believed", example=["10.0.0.0/8"]),
            Key("proxy_protocol", FLAG, "those send the PROXY protocol"),
            Key("error_page", f.PATH, "HTML shown while an app does not serve", example="/etc/gitdeploy/away.html"),
            Key("git", f.or_none(DOMAIN), "domain of the Git server", example="git.example.com"),
            Key("git_address", PLACE, "where that answers HTTP", example="172.17.0.1:3000"),
        )
    }
)
