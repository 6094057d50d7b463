"""A certificate with its key: what it is for, how long it lasts, what is wrong. Pure; `edge.pem` makes and reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gitdeploy.edge.extra import HINT
from gitdeploy.errors import GitdeployError, UnfitError

DAY = 86400
SKEW = DAY
"""Seconds that a certificate may begin ahead of this machine's clock; no clock that is worth judging by is farther off."""


class UnusableCertificate(GitdeployError):
    """A file holds no certificate that can be served, or no key for it; `reason` is one line and begins with the file."""

    exit_code = 2


@dataclass(frozen=True)
class Certificate:
    """A certificate, those that lead from it to a root, and its key.

    Attributes:
        names: the DNS names that it is for, in lower case, as they stand in it.
        not_before: when it begins, in seconds since the epoch.
        not_after: when it ends.
        serial: its serial number in hexadecimal digits, as `openssl x509 -serial` shows it.
        fingerprint: SHA-256 of it, in hexadecimal digits: who connects over TLS gets the same from what is served.
        self_made: whether gitdeploy signed it with its own key, to have something to serve until a real one arrives.
        authority: who issued it: an ACME directory's URL, "internal:…", or "" for one that was given or is self-made.
        chain: the certificates in PEM, this one first.
        key: the key in PEM.
    """

    names: tuple[str, ...]
    not_before: int
    not_after: int
    serial: str
    fingerprint: str
    self_made: bool
    authority: str
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @property
    def pem(self) -> bytes:
        """All of it in one file, as HAProxy's `crt` wants it."""
        return self.chain + self.key

    def covers(self, name: str) -> bool:
        """Return whether it is good for the name. A "*" stands for one label, the first, and never for none or two."""
        wanted = name.lower()
        wildcard = f"*.{wanted.partition('.')[2]}"
        return wanted in self.names or wildcard in self.names


def faults(certificate: Certificate, names: Sequence[str], now: float, file: str) -> list[str]:
    """Return what keeps the certificate from being served for these names, a line for each fault; [] if nothing does.

    Args:
        file: what the lines begin with, the file that it comes from.
    """
    found = []
    if certificate.not_after <= now:
        found.append(f"{file}: expected a certificate that lasts, found one that ended on {day(certificate.not_after)}")
    elif certificate.not_before > now + SKEW:
        found.append(f"{file}: expected a certificate that has begun, found one that begins on {day(certificate.not_before)}")
    missing = [name for name in names if not certificate.covers(name)]
    if missing:
        theirs = listed(certificate.names) if certificate.names else "no name (no subjectAltName)"
        found.append(f"{file}: expected a certificate for {listed(missing)}, found one for {theirs}")
    return found


def day(seconds: float) -> str:
    """Return the day of a moment, in UTC: "2026-11-28"."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def moment(seconds: float) -> str:
    """Return a moment to the minute, in UTC: "2026-11-28 08:12 UTC"."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the names as words, a long list cut short; nothing in them can break the line."""
    shown = [name if name.isprintable() else repr(name) for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def missing_extra(error: ImportError) -> UnfitError:
    """Return what is said where the packages of the extra are not installed, or not whole."""
    return UnfitError(f"certificates need Python packages that are not installed here: {error}", HINT)
