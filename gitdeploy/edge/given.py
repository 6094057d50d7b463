"""What the edge needs of files that config.toml names: certificates, who is let in, the error page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import read_secret
from gitdeploy.edge.certificate import Certificate, faults
from gitdeploy.edge.extra import require_extra
from gitdeploy.edge.fronting import user_digests
from gitdeploy.errors import GitdeployError, StageFailed

MAX_PAGE = 16_000
"""Bytes of the error page: HAProxy answers it from one buffer."""


def given_certificate(app: App, now: float) -> Certificate | None:
    """Return the certificate that config.toml names, None if it names none. Raises StageFailed if it will not do.

    Args:
        app: with the domains that it has now.
        now: seconds since the epoch.
    """
    if not (app.tls.certificate and app.tls.key):
        return None
    require_extra()
    from gitdeploy.edge import pem  # noqa: PLC0415 - needs the extra, and time

    key = read_secret(app.tls.key, f'apps."{app.name}".tls.key')
    chain = read_secret(app.tls.certificate, f'apps."{app.name}".tls.certificate', private=False)
    try:
        found = pem.parse(chain, key, str(app.tls.certificate), str(app.tls.key))
    except GitdeployError as error:
        raise StageFailed(error.reason, error.hint) from error
    if wrong := faults(found, app.domains, now, str(app.tls.certificate)):
        raise StageFailed("; ".join(wrong), f"the domains of {app.name} need one that fits")
    return found


def users(app: App) -> tuple[str, ...]:
    """Return the digests of who is let in, () where everybody is. Raises StageFailed."""
    path, where = app.proxy.basic_auth, f'apps."{app.name}".proxy.basic_auth'
    if not path:
        return ()
    found: dict[str, str] = {}
    for number, line in enumerate(read_secret(path, where).decode(errors="replace").splitlines(), 1):
        name, _, password = line.partition(":")
        if line.strip() and not line.startswith("#"):
            if not name or not password:
                raise StageFailed(f"{where}: {path}, line {number}: expected USER:PASSWORD", "correct the line")
            found[name] = password
    if not found:
        raise StageFailed(f"{where}: {path}: expected USER:PASSWORD lines, found none", "write one")
    return user_digests(found)


def error_page(edge: EdgeSettings) -> bytes:
    """Return the page for what does not serve, b"" for none. Raises StageFailed."""
    if edge.error_page is None:
        return b""
    page = read_secret(edge.error_page, "edge.error_page", private=False)
    if len(page) > MAX_PAGE:
        reason = f"edge.error_page: {edge.error_page}: expected at most {MAX_PAGE:,} bytes, found {len(page):,}"
        raise StageFailed(reason, "shorten it")
    return page


def changes_of(edge: EdgeSettings, app: App) -> Iterator[tuple[str, int]]:
    """Yield the files that these name, with when each was last changed: nanoseconds, 0 for one that is not there."""
    for path in (edge.error_page, edge.acme_root, app.tls.certificate, app.tls.key, app.proxy.basic_auth):
        if path:
            yield str(path), _changed(path)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_ctime_ns  # what chmod has made readable counts, too
    except OSError:
        return 0
