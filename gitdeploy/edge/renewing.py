"""Certificates are ordered as the agenda says, one name after the other; what comes of each is kept, installed and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gitdeploy.edge.certificate import Certificate, day, moment
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.orderfailed import OrderFailed
from gitdeploy.edge.renewal import Setback, WantedCertificate, agenda, order_at, set_back
from gitdeploy.engine.types import Cancel
from gitdeploy.errors import Cancelled, GitdeployError, understood

PATIENCE = 600
"""Seconds to wait for another process that orders; an order takes 300 at the most."""


class Issuer(Protocol):
    """Who makes certificates."""

    @property
    def name(self) -> str:
        """The `Certificate.authority` of those it makes."""

    def issue(self, names: tuple[str, ...], cancel: Cancel) -> Certificate:
        """Return a certificate for the names; raise GitdeployError."""


@dataclass(frozen=True)
class InternalAuthority:
    """Signs with this machine's own root, for `tls = "internal"`.

    Attributes:
        root: what `CertificateStore.internal_root` returned; clients that trust it trust all that it signs.
    """

    root: Certificate
    clock: Callable[[], float]

    @property
    def name(self) -> str:
        """Name the root, so that a new one gives everyone new certificates."""
        return f"internal:{self.root.fingerprint[:16]}"

    def issue(self, names: tuple[str, ...], cancel: Cancel) -> Certificate:
        """Make a certificate; it needs nobody, so nothing is waited for."""
        from gitdeploy.edge import pem  # noqa: PLC0415 - needs the extra, and time

        now = self.clock()
        if now < self.root.not_before:  # as after a start without a clock: what is made now has ended when it is right
            reason = (
                f"this machine's clock says {day(now)}, the root of internal certificates begins on {day(self.root.not_before)}"
            )
            raise OrderFailed(reason, "if the clock is right now, remove internal.pem: a new root is made", everywhere=True)
        return pem.signed_by(self.root, names, now, self.name)


@dataclass(frozen=True)
class Renewing:
    """What ordering needs.

    Attributes:
        issuers: by the authority that certificates are wanted from.
        installed: has the edge serve a new certificate of a name; it is kept by then, so what fails here is put right
            by whoever compares what is kept with what is served.
        say: is told of each outcome in a line.
        clock: seconds since the epoch.
    """

    store: CertificateStore
    issuers: Mapping[str, Issuer]
    installed: Callable[[str, Certificate], None]
    say: Callable[[str], None]
    clock: Callable[[], float]

    def walk(self, wanted: Sequence[WantedCertificate], cancel: Cancel) -> float:
        """Order what is due, each whatever comes of the others; return when to look again. Raise Cancelled.

        A defect of gitdeploy is raised once all others have been ordered.
        """
        defects: list[Exception] = []
        for one in agenda(wanted, self.store.certificates(), self.store.setbacks(), self.clock()).due:
            try:
                self._order(one, cancel)
            except Cancelled:
                raise
            except GitdeployError as error:
                self.say(f"{one.name}: {_told(error)}")
            except Exception as error:
                defects.append(error)
        if defects:
            raise defects[0]
        return agenda(wanted, self.store.certificates(), self.store.setbacks(), self.clock()).look_at

    def _order(self, wanted: WantedCertificate, cancel: Cancel) -> None:
        with self.store.ordering(PATIENCE, cancel):
            certificate = self._issued(wanted, cancel)
        if certificate:
            self.say(f"{wanted.name}: has a certificate from {certificate.authority} until {day(certificate.not_after)}")
            self.installed(wanted.name, certificate)

    def _issued(self, wanted: WantedCertificate, cancel: Cancel) -> Certificate | None:
        """Order, and keep what comes of it; None if it has not come, or is not due any more."""
        now, setbacks = self.clock(), self.store.setbacks()
        if order_at(wanted, self.store.certificate(wanted.name), setbacks, now) > now:
            return None  # another process was faster, or the authority asks everyone to wait
        before = setbacks.get(wanted.name)
        # On record before it begins: neither a crash nor a full disk makes an order that is repeated without a wait.
        self.store.note(wanted.name, set_back(before, wanted.names, "its order was interrupted", now))
        try:
            certificate = self.issuers[wanted.authority].issue(wanted.names, cancel)
        except Cancelled:
            self.store.note(wanted.name, before)
            raise
        except Exception as error:
            self._failed(wanted, setbacks, understood(error, "gitdeploy's log"))
            if not isinstance(error, GitdeployError | OSError):
                raise
            return None
        self.store.keep(wanted.name, certificate)
        if wanted.authority in setbacks:
            self.store.note(wanted.authority, None)
        return certificate

    def _failed(self, wanted: WantedCertificate, setbacks: Mapping[str, Setback], error: GitdeployError) -> None:
        """Write and tell why, and when it is tried again."""
        retry_at, everywhere = (error.retry_at, error.everywhere) if isinstance(error, OrderFailed) else (0, False)
        key, names = (wanted.authority, ()) if everywhere else (wanted.name, wanted.names)
        if everywhere:
            self.store.note(wanted.name, setbacks.get(wanted.name))
        setback = set_back(setbacks.get(key), names, error.reason, self.clock(), retry_at)
        self.store.note(key, setback)
        self.say(
            f"{wanted.name}: {_told(error)}; {'all are' if everywhere else 'it is'} tried again at {moment(setback.next_at)}"
        )


def _told(error: GitdeployError) -> str:
    return f"{error.reason} ({error.hint})" if error.hint else error.reason
