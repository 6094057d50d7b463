"""Certificates from an ACME authority (RFC 8555), by http-01 challenges that the edge answers.

Needs the extra gitdeploy[edge], so it is imported where it is used; without the extra the import raises UnfitError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from gitdeploy import __version__
from gitdeploy.edge import pem
from gitdeploy.edge.acmeaccount import AcmeSettings, enter, register
from gitdeploy.edge.certificate import Certificate, UnusableCertificate, faults, missing_extra
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.orderfailed import OrderFailed, one_line, refused, retry_at, unreachable
from gitdeploy.edge.patient import PatientSession
from gitdeploy.engine.types import Cancel

try:
    from acme import challenges, client, crypto_util, errors, messages
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from josepy.errors import Error as JoseError
    from josepy.jwa import ES256
    from josepy.jwk import JWKEC
except ImportError as error:
    raise missing_extra(error) from None


class AcmeAuthority:
    """Orders certificates from one authority.

    Attributes:
        name: what `Certificate.authority` says of those it issues.
    """

    def __init__(
        self,
        settings: AcmeSettings,
        store: CertificateStore,
        ready: Callable[[tuple[str, ...]], None],
        clock: Callable[[], float],
    ) -> None:
        """Take the settings.

        Args:
            ready: returns once challenges of these names are answered; called before the authority looks.
            clock: seconds since the epoch.
        """
        self.name = settings.directory
        self._host = urlsplit(settings.directory).netloc or settings.directory
        self._settings = settings
        self._store = store
        self._ready = ready
        self._clock = clock

    def issue(self, names: tuple[str, ...], cancel: Cancel) -> Certificate:
        """Order a certificate for the names, with a new key; raise OrderFailed, UnfitError or Cancelled."""
        network = client.ClientNetwork(
            JWKEC(key=load_pem_private_key(self._store.account_key(), None)),
            alg=ES256,
            user_agent=f"gitdeploy/{__version__}",
            verify_ssl=cast(bool, self._root()),  # requests takes a path, too
        )
        session = PatientSession(network.session, time.monotonic() + self._settings.patience, cancel, self._clock)
        network.session = cast(Any, session)
        key = pem.new_key()
        try:
            with self._understood(session, everywhere=True):
                acme = client.ClientV2(client.ClientV2.get_directory(self.name, network), network)
            order = self._ordered(acme, session, crypto_util.make_csr(key, list(names)))
            asked = [self._challenge(one) for one in order.authorizations if one.body.status == messages.STATUS_PENDING]
            if asked:
                self._ready(names)
            with self._understood(session):
                for challenge in asked:
                    acme.answer_challenge(challenge, challenge.chall.response(network.key))
                for authorization in order.authorizations:
                    self._validated(acme, session, authorization)
                chain = self._issued(acme, session, order)
        finally:
            session.close()
        return self._checked(chain, key, names)

    def _ordered(self, acme: client.ClientV2, session: PatientSession, request: bytes) -> messages.OrderResource:
        """Order as who we are there; as somebody new, if the authority has lost the account that we had."""
        with self._understood(session, everywhere=True):
            known = enter(acme, self._settings, self._store)
        with self._understood(session):
            try:
                return acme.new_order(request)
            except messages.Error as error:
                # Caddy's says HTTP 500 and no word of an account that it has lost.
                if error.code not in ("accountDoesNotExist", None):
                    raise
                if register(acme, self._settings, self._store) == known:
                    raise error from None
            return acme.new_order(request)

    def _challenge(self, authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
        """Return the one that the edge can answer."""
        body = authorization.body
        found = next((one for one in body.challenges if isinstance(one.chall, challenges.HTTP01)), None)
        if not found:
            raise OrderFailed(f"{self._host} offers no http-01 challenge for {one_line(str(body.identifier.value))}")
        return found

    def _validated(self, acme: client.ClientV2, session: PatientSession, asked: messages.AuthorizationResource) -> None:
        """Wait until the authority has made sure of a name."""
        name = one_line(str(asked.body.identifier.value))
        for _ in session.polls():
            authorization, _ = acme.poll(asked)
            status = authorization.body.status
            if status == messages.STATUS_VALID:
                return
            found = self._challenge(authorization)
            # RFC 8555, 8.2: what the authority will try again by itself is "processing"; "pending" waits for us.
            failed = found.error and found.status != messages.STATUS_PROCESSING
            if failed or status not in (messages.STATUS_PENDING, messages.STATUS_PROCESSING):
                raise refused(self._host, found.error, name)
        raise OrderFailed(f"{self._host} has not made sure of {name} within {self._settings.patience:g} s")

    def _issued(self, acme: client.ClientV2, session: PatientSession, order: messages.OrderResource) -> bytes:
        """Ask for the certificate, and wait for it."""

        def ask(url: str) -> Any:
            return acme.net.post(url, None, new_nonce_url=acme.directory.newNonce)

        body = messages.Order(status=messages.STATUS_READY)
        for turn in session.polls():
            if turn:
                body = messages.Order.from_json(ask(order.uri).json())
            if body.status == messages.STATUS_READY:
                try:
                    body = acme.begin_finalization(order).body
                except messages.Error as error:
                    if error.code != "orderNotReady":
                        raise
            if body.status == messages.STATUS_INVALID:
                raise refused(self._host, body.error)
            if body.status == messages.STATUS_VALID and body.certificate:
                return bytes(ask(body.certificate).content)
        raise OrderFailed(f"{self._host} has not issued the certificate within {self._settings.patience:g} s")

    def _checked(self, chain: bytes, key: bytes, names: tuple[str, ...]) -> Certificate:
        """Return what was issued, if it is what was ordered."""
        try:
            certificate = pem.parse(chain, key, "the answer", "the order", self.name)
        except UnusableCertificate as error:
            raise OrderFailed(f"{self._host} issued what cannot be served: {error.reason}") from None
        if found := faults(certificate, names, self._clock(), "the answer"):
            hint = "is this machine's clock right?" if certificate.covers(names[0]) else ""
            raise OrderFailed(f"{self._host} issued what cannot be served: {'; '.join(found)}", hint)
        return certificate

    def _root(self) -> bool | str:
        """Return what requests takes for `verify`; its own error for a bad file does not name it."""
        if not (path := self._settings.root):
            return True
        try:
            pem.certificates(path.read_bytes(), str(path))
        except (OSError, UnusableCertificate) as error:
            reason = error.reason if isinstance(error, UnusableCertificate) else f"{path}: cannot be read: {error.strerror}"
            raise OrderFailed(reason, "it is to hold the root of the authority's own certificate", everywhere=True) from None
        return str(path)

    @contextmanager
    def _understood(self, session: PatientSession, *, everywhere: bool = False) -> Iterator[None]:
        """Turn whatever comes out of a conversation with the authority into OrderFailed, with the time of the next try."""
        failed, cause = None, None
        try:
            yield
        except OrderFailed as error:
            failed = error
        except messages.Error as error:
            failed = refused(self._host, error)
            failed.everywhere = session.status >= 500
        except OSError as error:
            failed = unreachable(self._host, error)
        except (errors.Error, JoseError, ValueError, KeyError, AttributeError, TypeError) as error:
            found = f"HTTP {session.status}, {type(error).__name__}"
            hint = "is the URL that of an ACME directory?"
            failed = OrderFailed(f"{self.name}: expected answers of ACME (RFC 8555), found {found}", hint, everywhere=True)
            cause = error
        if failed:
            failed.everywhere |= everywhere
            failed.retry_at = failed.retry_at or retry_at(session.retry_after, self._clock())
            raise failed from cause
