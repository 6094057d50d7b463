"""What the edge's maps and its crt-list say: which name leads where, and what belongs to it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from gitdeploy.edge.route import Route, Rules, ServedCertificate, Traffic

DIRECTORY = "/etc"
"""Docker itself makes /etc in every container, so files can be put there whatever the image is."""

PREFIX = "gitdeploy-edge."
FILE, ROUTES, USERS, SETTINGS, CRT_LIST, AWAY = (f"{PREFIX}{end}" for end in ("cfg", "routes", "users", "set", "crt", "away"))

FIELDS = ("backend", "secure", "rare", "acme", "canonical", "hsts", "max", "timeout", "realm", "maintenance")
"""What a route's value in the map has, between "|"."""

GIT = "git"
"""The backend of the Git server."""

RARE = FIELDS[FIELDS.index("canonical") :]
"""Those that few routes have: where none is given, none is looked for."""

Servers = Mapping[int, tuple[str, int]]
"""Place in a backend, 1 or 2, to the name and port of an app."""

Backends = Mapping[int, Servers]
"""Number of a backend, from 1, to what is in it; empty ones are left out."""


def path_of(name: str) -> str:
    """Return where a file of the edge is in its container."""
    return f"{DIRECTORY}/{name}"


def route_map(routes: Iterable[Route], backends: Backends) -> dict[str, str]:
    """Return the map of routes."""
    numbers = {server: number for number, servers in backends.items() for server in servers.values()}
    found = {}
    for route in routes:
        number = next((numbers[upstream.server] for upstream in route.upstreams if upstream.server in numbers), 0)
        rules = route.rules
        values = {
            "backend": route.fixed or (f"r{number}" if number else "away"),
            "secure": "1" if rules.secure else "",
            "acme": "1" if rules.acme else "",
            "canonical": rules.canonical,
            "hsts": f"max-age={rules.hsts}" if rules.hsts else "",
            "max": str(rules.max_body or ""),
            "timeout": str(round(rules.timeout * 1000)) if rules.timeout != Rules.timeout else "",
            "realm": rules.realm,
            "maintenance": "1" if rules.maintenance else "",
        }
        values["rare"] = "1" if any(values[field] for field in RARE) else ""
        found[route.key] = "|".join(values[field] for field in FIELDS)
    return found


def user_map(t: Traffic) -> dict[str, str]:
    """Return the map of users."""
    return {f"{realm}:{digest}": "1" for realm, digests in t.users.items() for digest in digests}


def setting_map(t: Traffic) -> dict[str, str]:
    """Return the map of what counts for all."""
    return {"thumbprint": t.thumbprint} if t.thumbprint else {}


def certificate_file(certificate: ServedCertificate) -> str:
    """Return the name of a certificate's file, which no other one's has; but the stand-in's, which HAProxy does not let go."""
    whole = "\n".join((certificate.fingerprint, *certificate.names)).encode()
    return f"{PREFIX}{hashlib.sha256(whole).hexdigest()[:24] if certificate.names else 'default'}.pem"


def certificate_line(certificate: ServedCertificate) -> str:
    """Return its line in the crt-list."""
    return " ".join([path_of(certificate_file(certificate)), *certificate.names])
