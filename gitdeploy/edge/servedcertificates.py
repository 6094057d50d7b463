"""The commands that bring HAProxy's certificates to what is wanted, and what its answers say of them. Pure.

Commands: https://docs.haproxy.org/2.6/management.html#9.3 ("new ssl cert", "set ssl cert", "add ssl crt-list").
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence

from gitdeploy.edge.edgecfg import CRT_LIST
from gitdeploy.edge.edgemaps import certificate_file, certificate_line, path_of
from gitdeploy.edge.route import ServedCertificate


def certificate_commands(
    certificates: Sequence[ServedCertificate], there: Sequence[str], loaded: Mapping[str, str]
) -> Iterator[str]:
    """Yield the commands that load what is not loaded, and list what is not listed.

    Args:
        there: what is listed, as `listed_in` returns it.
        loaded: as `sha1_of` returns it.
    """
    for certificate in certificates:
        path = path_of(certificate_file(certificate))
        if path not in there:
            yield f"new ssl cert {path}"
        if loaded.get(path) != sha1(certificate.pem):
            yield f"set ssl cert {path} <<\n{_pem(certificate.pem)}\n"
            yield f"commit ssl cert {path}"
        if path not in there:
            yield f"add ssl crt-list {path_of(CRT_LIST)} <<\n{certificate_line(certificate)}\n"


def stale_commands(certificates: Sequence[ServedCertificate], there: Sequence[str]) -> Iterator[str]:
    """Yield the commands that let go of what is listed and not wanted."""
    wanted = {path_of(certificate_file(certificate)) for certificate in certificates}
    for path in there:
        if path not in wanted:
            yield f"del ssl crt-list {path_of(CRT_LIST)} {path}"
            yield f"del ssl cert {path}"


def listed_in(answer: str) -> list[str]:
    """Return the files of certificates in an answer to `show ssl crt-list FILE`."""
    return [line.split()[0] for line in answer.splitlines() if re.match(r"/\S+\.pem(\s|$)", line)]


def sha1_of(answer: str) -> dict[str, str]:
    """Return by file the SHA-1 of each certificate, in hexadecimal digits, from answers to `show ssl cert FILE`."""
    found: dict[str, str] = {}
    path = ""
    for line in answer.splitlines():
        name, _, value = line.partition(": ")
        if name == "Filename":
            path = value.strip()
        elif name == "SHA1 FingerPrint" and path:
            found[path] = value.strip().lower()
    return found


def sha1(pem: bytes) -> str:
    """Return the SHA-1 of the first certificate, as HAProxy has it."""
    first = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem.decode(errors="replace"), re.DOTALL)
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(first[0]), usedforsecurity=False).hexdigest() if first else ""


def _pem(pem: bytes) -> str:
    """Return it without empty lines: one would end what is sent."""
    return "\n".join(line for line in pem.decode().splitlines() if line.strip())
