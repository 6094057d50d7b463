"""What the edge is to do: from config.toml, what is live of each app, and the certificates that there are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gitdeploy.config.fronted import fronted
from gitdeploy.config.model import App, Config
from gitdeploy.edge.edgemaps import GIT
from gitdeploy.edge.route import Route, Rules, Upstream, routes_of

Upstreams = Callable[[App], Iterable[Upstream]]
"""Where one process of a release answers."""


def app_routes(config: Config, live: App | None, coming: App | None, upstreams: Upstreams) -> tuple[Route, ...]:
    """Return the routes of an app.

    Args:
        live: the release that serves.
        coming: one that is about to take over, whose upstreams come beside.
    """
    newest = coming or live
    if newest is None:
        return ()
    app = fronted(config, newest)

    def places(part: App) -> tuple[Upstream, ...]:
        found = (upstream for release in (live, coming) if release for upstream in upstreams(_part(release, part.process)))
        return tuple(dict.fromkeys(found))

    return routes_of(app, places)


def _part(release: App, process: str) -> App:
    """Return a release as one process has it; without domains if it had no such process."""
    return release.of_process(process) if process in (release.process, *release.processes) else replace(release, domains=())


def git_route(config: Config) -> tuple[Route, ...]:
    """Return the route of the Git server, () for none: pushes are long and come in pieces, so nothing is limited."""
    if not config.edge.git:
        return ()
    return (Route(config.edge.git, "", (), Rules(acme=True, timeout=86400.0), fixed=GIT),)


def secured(app: App) -> bool:
    """Return whether the app has domains, and TLS for them."""
    return bool(app.domains) and (app.tls.mode != "off" or app.tls.certificate is not None)


def wanted_names(config: Config, apps: Iterable[App], mode: str) -> tuple[str, ...]:
    """Return the domains that are to have a certificate of this kind, "auto" or "internal"."""
    names = [name for app in apps if app.tls.mode == mode and not app.tls.certificate for name in app.domains]
    return tuple(dict.fromkeys([*names, *([config.edge.git] if config.edge.git and mode == "auto" else [])]))


def user_digests(users: Mapping[str, str]) -> tuple[str, ...]:
    """Return the SHA-256 of the Authorization header of each user, in hexadecimal digits (RFC 7617), from name to password."""
    import base64  # noqa: PLC0415 - few need it
    import hashlib  # noqa: PLC0415

    headers = (b"Basic " + base64.b64encode(f"{name}:{password}".encode()) for name, password in users.items())
    return tuple(sorted(hashlib.sha256(header).hexdigest() for header in headers))
