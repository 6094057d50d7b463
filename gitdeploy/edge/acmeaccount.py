"""Who we are to an ACME authority: its settings, and our account there, made once and found again by the key.

Needs the extra gitdeploy[edge], so it is imported where it is used; without the extra the import raises UnfitError.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from gitdeploy.edge import pem
from gitdeploy.edge.certificate import missing_extra
from gitdeploy.edge.certstore import AuthorityAccount, CertificateStore
from gitdeploy.edge.orderfailed import OrderFailed

try:
    from acme import client, errors, messages
    from josepy.jwk import JWK, JWKEC
except ImportError as error:
    raise missing_extra(error) from None


@dataclass(frozen=True)
class AcmeSettings:
    """An ACME authority, and who we are to it.

    Attributes:
        directory: the URL of its directory.
        root: a file with the root certificates that its own certificate leads to; None for those that this machine trusts.
        email: where it may write to, or "".
        binding: the identifier of an account that exists there otherwise (external account binding), or "".
        binding_key: the HMAC key that belongs to it, in base64url.
        patience: seconds that an order may take as a whole.
    """

    directory: str
    root: Path | None = None
    email: str = ""
    binding: str = ""
    binding_key: str = field(default="", repr=False)
    patience: float = 300


def enter(acme: client.ClientV2, settings: AcmeSettings, store: CertificateStore) -> str:
    """Take the account that we have there, with the email address that is wanted now, or a new one; return its URL."""
    known, thumbprint = store.account(settings.directory), pem.thumbprint(store.account_key())
    if not known or known.thumbprint != thumbprint:
        return register(acme, settings, store)
    acme.net.account = messages.RegistrationResource(body=messages.Registration(), uri=known.url)
    if known.email != settings.email:
        contact = messages.Registration.from_data(email=settings.email or None, contact=())
        acme.update_registration(acme.net.account, contact)
        store.keep_account(settings.directory, AuthorityAccount(known.url, settings.email, thumbprint))
    return known.url


def register(acme: client.ClientV2, settings: AcmeSettings, store: CertificateStore) -> str:
    """Make an account with our key, and agree to the authority's terms; return its URL, or that of the one that there is."""
    acme.net.account = None
    binding = _binding(acme, settings) if settings.binding else None
    email = settings.email or None
    new = messages.NewRegistration.from_data(email=email, terms_of_service_agreed=True, external_account_binding=binding)
    try:
        url = str(acme.new_account(new).uri)
    except errors.ConflictError as error:
        url = error.location
        acme.net.account = messages.RegistrationResource(body=messages.Registration(), uri=url)
    account = AuthorityAccount(url, settings.email, pem.thumbprint(store.account_key()))
    store.keep_account(settings.directory, account)
    return url


def _binding(acme: client.ClientV2, settings: AcmeSettings) -> dict[str, Any]:
    try:
        base64.b64decode(settings.binding_key + "==", altchars=b"-_", validate=True)
    except ValueError:
        reason = f"the HMAC key of the account at {settings.directory}: expected base64url, found something else"
        raise OrderFailed(reason, "copy it anew from the authority's page", everywhere=True) from None
    public = cast(JWK, cast(JWKEC, acme.net.key).public_key())
    return dict(messages.ExternalAccountBinding.from_data(public, settings.binding, settings.binding_key, acme.directory))
