"""Ordering the certificates that are due, of the authority and of gitdeploy's own.

Needs the extra gitdeploy[edge], so it is imported where it is used; without the extra the import raises UnfitError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.secretfile import read_secret
from gitdeploy.edge.acmeaccount import AcmeSettings
from gitdeploy.edge.authority import AcmeAuthority
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.renewal import WantedCertificate
from gitdeploy.edge.renewing import InternalAuthority, Issuer, Renewing
from gitdeploy.engine.types import Cancel, Output


def order(
    store: CertificateStore,
    edge: EdgeSettings,
    names: Mapping[str, Sequence[str]],
    output: Output,
    *,
    cancel: Cancel,
    now: Callable[[], float],
) -> tuple[float, list[str]]:
    """Order a certificate for each name that is due; what fails is told and tried again.

    Args:
        names: those of each mode, "auto" and "internal".
        now: seconds since the epoch.

    Returns:
        when to look again, in seconds since the epoch, and the names that have a new one.
    """
    key = read_secret(edge.eab_key, "edge.eab_key").decode(errors="replace").strip() if edge.eab_key else ""
    settings = AcmeSettings(edge.acme, edge.acme_root, edge.email, edge.eab_id, key)
    issuers: dict[str, Issuer] = {"auto": AcmeAuthority(settings, store, lambda names: None, now)}
    if names["internal"]:
        issuers["internal"] = InternalAuthority(store.internal_root(now()), now)
    wanted = [WantedCertificate((name,), issuer.name) for mode, issuer in issuers.items() for name in names[mode]]
    fresh: list[str] = []
    ordering = Renewing(
        store, {issuer.name: issuer for issuer in issuers.values()}, lambda name, _: fresh.append(name), output.line, now
    )
    return ordering.walk(wanted, cancel), fresh
