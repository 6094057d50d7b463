"""What the edge serves with beside its routes: certificates, who is let in, the page for what does not serve.

A file of config.toml that will not do is told of, and what was good before is served on: one app's mistake is not the others'.
It fails the pushes of its own app before anything is built (`BoxEdge.require_fit`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from gitdeploy.config.model import App, Config
from gitdeploy.edge.certificate import Certificate
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.extra import require_extra
from gitdeploy.edge.fronting import secured, wanted_names
from gitdeploy.edge.given import error_page, given_certificate, users
from gitdeploy.edge.route import ServedCertificate
from gitdeploy.errors import GitdeployError

STAND_IN = "gitdeploy.invalid"
"""The name of what is served for names that have no certificate yet."""


@dataclass(frozen=True)
class Material:
    """See above.

    Attributes:
        say: is told of files that will not do, a line each.
        now: seconds since the epoch.
    """

    config: Config
    store: CertificateStore
    say: Callable[[str], None]
    now: float

    def thumbprint(self, apps: Sequence[App]) -> str:
        """Return that of the account's key, "" where no authority asks. Raises UnfitError without the extra."""
        if any(map(secured, apps)) or self.config.edge.git:
            require_extra()
        if not wanted_names(self.config, apps, "auto"):
            return ""
        from gitdeploy.edge import pem  # noqa: PLC0415 - needs the extra, and time

        return pem.thumbprint(self.store.account_key())

    def certificates(self, apps: Sequence[App]) -> tuple[ServedCertificate, ...]:
        """Return what is served, a self-made one first for names that have none yet; () if nothing has TLS."""
        if not any(map(secured, apps)) and not self.config.edge.git:
            return ()
        return (self._stand_in(), *self._given_of(apps), *self._kept(apps))

    def _stand_in(self) -> ServedCertificate:
        from gitdeploy.edge import pem  # noqa: PLC0415 - needs the extra, and time

        stand_in = self.store.certificate(STAND_IN)
        if stand_in is None:
            stand_in = pem.self_made((STAND_IN,), self.now)
            self.store.keep(STAND_IN, stand_in)
        return _served((), stand_in)

    def _given_of(self, apps: Sequence[App]) -> Iterator[ServedCertificate]:
        for app in apps:
            if app.tls.certificate and (found := self.given(app)):
                yield _served(app.domains, found)

    def _kept(self, apps: Sequence[App]) -> Iterator[ServedCertificate]:
        for name in (name for mode in ("auto", "internal") for name in wanted_names(self.config, apps, mode)):
            found = self.store.certificate(name)
            if found and found.covers(name) and found.not_after > self.now:
                yield _served((name,), found)

    def forget_ended(self, wanted: Collection[str]) -> None:
        """Let go of certificates that have ended and are for no name of these."""
        for name, certificate in self.store.certificates().items():
            if name not in wanted and certificate.not_after < self.now:
                self.store.forget(name)

    def given(self, app: App) -> Certificate | None:
        """Return the certificate that config.toml names for an app; else the last that would do, of which a copy is kept."""
        copy = f"given {app.name}"
        kept = self.store.certificate(copy)
        try:
            found = given_certificate(app, self.now)
        except GitdeployError as error:
            self.say(f"{app.name}: {error.reason}; {'the one before is served' if kept else 'a self-made one is served'}")
            return kept
        if found and (kept is None or kept.fingerprint != found.fingerprint):
            self.store.keep(copy, found)
        return found

    def users(self, app: App) -> tuple[str, ...]:
        """Return the digests of who is let in; nobody's if that cannot be told."""
        try:
            return users(app)
        except GitdeployError as error:
            self.say(f"{app.name}: {error.reason}; nobody is let in")
            return ()

    def page(self) -> bytes:
        """Return the page for what does not serve, b"" for none."""
        try:
            return error_page(self.config.edge)
        except GitdeployError as error:
            self.say(f"{error.reason}; a line of text is shown in place of the page")
            return b""


def _served(names: tuple[str, ...], certificate: Certificate) -> ServedCertificate:
    return ServedCertificate(names, certificate.fingerprint, certificate.pem, certificate.not_after)
