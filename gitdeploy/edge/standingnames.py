"""How each domain stands: where it leads, and how long its certificate lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitdeploy.edge.renewal import Setback
from gitdeploy.edge.route import Route


@dataclass(frozen=True)
class StandingName:
    """One domain, or one path of it.

    Attributes:
        app: whose it is, "" for the Git server's.
        leads_to: the app's container, "" if it leads nowhere yet.
        tls: whether it has TLS.
        ends: when its certificate ends, in seconds since the epoch; 0.0 for none.
        trouble: what is wrong with it, "" for nothing.
    """

    domain: str
    path: str
    app: str
    leads_to: str
    tls: bool
    ends: float = 0.0
    trouble: str = ""


def standing(route: Route, app: str, ends: float, setbacks: Mapping[str, Setback], authority: str) -> StandingName:
    """Return how a route stands. Pure.

    Args:
        ends: when the certificate of its domain ends; 0.0 if there is none.
        setbacks: by domain, and by the URL of an authority.
    """
    upstream = route.upstreams[0] if route.upstreams else None
    leads_to = f"{upstream.host}:{upstream.port}" if upstream else "the Git server" if route.fixed else ""
    trouble = "" if leads_to else f"released before it had domains: gitdeploy deploy {app}"
    setback = setbacks.get(route.domain) or (setbacks.get(authority) if route.rules.acme else None)
    if setback and route.rules.secure:
        trouble = f"no newer certificate: {setback.reason}"
    return StandingName(route.domain, route.path, app, leads_to, route.rules.secure, ends, trouble)
