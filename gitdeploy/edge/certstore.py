"""The edge's certificates, keys and accounts in a directory, each in a file of its own.

    account.key               the key of our accounts
    accounts.json             our account at each authority
    internal.pem              the root that signs for `tls = "internal"`, and its key
    certificates/NAME.pem     a line about it, the certificates, the key
    setbacks/NAME.json        why there is no newer one, and when to try again

A file that cannot be read is named and put aside as FILE.damaged; what it held is made or ordered again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gitdeploy.edge.certificate import DAY, Certificate, UnusableCertificate
from gitdeploy.edge.privatefiles import PrivateFiles
from gitdeploy.edge.renewal import Setback
from gitdeploy.engine.types import Cancel

_LONGEST = 180
"""Bytes of a file's name that stand for a name; NAME_MAX is 255."""
_LINE = "gitdeploy: "
_KEY, _ACCOUNTS, _ROOT = "account.key", "accounts.json", "internal.pem"
_NUMBER = (int, float)
_SETBACK = {"name": str, "names": list, "at": _NUMBER, "count": int, "reason": str, "next_at": _NUMBER}


@dataclass(frozen=True)
class AuthorityAccount:
    """Who we are to an authority.

    Attributes:
        url: what the authority calls the account.
        email: the contact that it was told.
        thumbprint: of the key that the account was made with.
    """

    url: str
    email: str
    thumbprint: str


class CertificateStore:
    """Certificates and setbacks by the name that each is wanted for first; an authority's setbacks by its URL."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        """Args: say: is told, in a line, of each file that had to be put aside."""
        self._files = PrivateFiles(directory, say)

    def certificates(self) -> dict[str, Certificate]:
        """Return all that are there, by name."""
        found = [self._certificate(file) for file in self._files.names("certificates", ".pem")]
        return dict(one for one in found if one)

    def certificate(self, name: str) -> Certificate | None:
        """Return the one of this name, None if there is none."""
        found = self._certificate(_pem_of(name))
        return found[1] if found else None

    def keep(self, name: str, certificate: Certificate) -> None:
        """Write a certificate in the place of the one before. Its setbacks are over."""
        about = json.dumps({"name": name, "authority": certificate.authority})
        with self._writing():
            self._files.write(_pem_of(name), f"{_LINE}{about}\n".encode() + certificate.pem)
            self._files.remove(_setback_of(name))

    def forget(self, name: str) -> None:
        """Remove the certificate of a name that is served no more, and its setbacks."""
        with self._writing():
            self._files.remove(_pem_of(name))
            self._files.remove(_setback_of(name))

    def setbacks(self) -> dict[str, Setback]:
        """Return what went wrong last, and is not over, by name."""
        found = [self._setback(file) for file in self._files.names("setbacks", ".json")]
        return dict(one for one in found if one)

    def note(self, name: str, setback: Setback | None) -> None:
        """Write what went wrong; None if it is over."""
        with self._writing():
            if setback:
                self._files.write(_setback_of(name), json.dumps({"name": name, **asdict(setback)}).encode())
            else:
                self._files.remove(_setback_of(name))

    def account_key(self) -> bytes:
        """Return the key of our accounts, in PEM; it is made once."""
        from gitdeploy.edge import pem  # noqa: PLC0415 - needs the extra, and time

        if not (key := self._account_key()):
            with self._writing():
                if not (key := self._account_key()):
                    self._files.write(_KEY, key := pem.new_key())
        return key

    def account(self, directory: str) -> AuthorityAccount | None:
        """Return our account at the authority of this directory URL, None if we have none yet."""
        return self._accounts().get(directory)

    def keep_account(self, directory: str, account: AuthorityAccount | None) -> None:
        """Write who we are to an authority; None if it knows us no more."""
        with self._writing():
            accounts = {url: asdict(one) for url, one in self._accounts().items() if url != directory}
            accounts |= {directory: asdict(account)} if account else {}
            self._files.write(_ACCOUNTS, json.dumps(accounts, indent=1).encode())

    def internal_root(self, now: float) -> Certificate:
        """Return the root that signs for `tls = "internal"`; it is made once, and anew when it ends."""
        from gitdeploy.edge import pem  # noqa: PLC0415 - needs the extra, and time

        if not (root := self._root(now)):
            with self._writing():
                if not (root := self._root(now)):
                    made = pem.new_root(now)
                    self._files.write(_ROOT, made)
                    root = pem.parse(made, made, _ROOT, _ROOT)
        return root

    def ordering(self, seconds: float, cancel: Cancel) -> AbstractContextManager[None]:
        """Keep other processes from ordering; raise UnfitError if one does so for longer than these seconds."""
        return self._files.locked("ordering.lock", seconds, cancel)

    def _writing(self) -> AbstractContextManager[None]:
        """Keep other processes from writing, for the moment that it takes; others may order meanwhile."""
        return self._files.locked("lock", 30)

    def _certificate(self, file: str) -> tuple[str, Certificate] | None:
        if not (content := self._files.read(file)):
            return None
        about = content.partition(b"\n")[0].removeprefix(_LINE.encode())
        values = self._values(file, about, {"name": str, "authority": str})
        certificate = self._parsed(file, content, values["authority"]) if values else None
        return (values["name"], certificate) if values and certificate else None

    def _parsed(self, file: str, content: bytes, authority: str) -> Certificate | None:
        from gitdeploy.edge import pem  # noqa: PLC0415 - needs the extra, and time

        try:
            return pem.parse(content, content, file, file, authority)
        except UnusableCertificate as error:
            self._files.put_aside(file, error.reason.removeprefix(f"{file}: "))
            return None

    def _setback(self, file: str) -> tuple[str, Setback] | None:
        content = self._files.read(file)
        values = self._values(file, content, _SETBACK) if content else None
        if not values:
            return None
        name, names = values.pop("name"), tuple(map(str, values.pop("names")))
        return name, Setback(names=names, **values)

    def _values(self, file: str, content: bytes, kinds: dict[str, Any]) -> dict[str, Any] | None:
        """Return an object with values of these types, whose "name" is that of the file; else put the file aside."""
        try:
            values = json.loads(content)
        except ValueError:
            values = None
        if isinstance(values, dict) and values.keys() == kinds.keys():
            right = all(isinstance(values[key], kind) for key, kind in kinds.items())
            if right and file in (_pem_of(values["name"]), _setback_of(values["name"])):
                return values
        self._files.put_aside(file, "expected what gitdeploy writes there")
        return None

    def _account_key(self) -> bytes:
        from gitdeploy.edge import pem  # noqa: PLC0415 - needs the extra, and time

        content = self._files.read(_KEY)
        try:
            return content if content and pem.thumbprint(content) else b""
        except UnusableCertificate as error:
            self._files.put_aside(_KEY, error.reason)
            return b""

    def _accounts(self) -> dict[str, AuthorityAccount]:
        content = self._files.read(_ACCOUNTS)
        try:
            return {url: AuthorityAccount(**values) for url, values in json.loads(content or b"{}").items()}
        except (ValueError, TypeError, AttributeError):
            self._files.put_aside(_ACCOUNTS, "expected what gitdeploy writes there")
            return {}

    def _root(self, now: float) -> Certificate | None:
        content = self._files.read(_ROOT)
        root = self._parsed(_ROOT, content, "") if content else None
        return root if root and root.not_after > now + DAY else None


def _pem_of(name: str) -> str:
    return f"certificates/{_file_name(name)}.pem"


def _setback_of(name: str) -> str:
    return f"setbacks/{_file_name(name)}.json"


def _file_name(name: str) -> str:
    """Return a file's name that stands for any text: no separator, no dot in front, never too long, none like another's."""
    raw = name.encode(errors="surrogatepass")
    quoted = quote(raw, safe="")
    if len(quoted) > _LONGEST:
        quoted = quoted[: _LONGEST - 65] + "~" + hashlib.sha256(raw).hexdigest()
    return quoted if not quoted.startswith(".") else f"%2E{quoted[1:]}"
