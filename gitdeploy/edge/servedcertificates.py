"""The commands that bring HAProxy's certificates to what is wanted. Pure.

Commands: https://docs.haproxy.org/2.6/management.html#9.3 ("new ssl cert", "set ssl cert", "add ssl crt-list").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gitdeploy.edge.edgemaps import CRT_LIST, certificate_file, certificate_line, path_of
from gitdeploy.edge.route import ServedCertificate


def certificate_commands(certificates: Sequence[ServedCertificate], there: Sequence[str]) -> Iterator[str]:
    """Yield the commands that load and list what is not there yet.

    Args:
        there: the files that are listed, as `listed_in` returns them.
    """
    for certificate in certificates:
        path = path_of(certificate_file(certificate))
        if path not in there:
            yield f"new ssl cert {path}"
            yield f"set ssl cert {path} <<\n{_pem(certificate.pem)}\n"
            yield f"commit ssl cert {path}"
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


def _pem(pem: bytes) -> str:
    """Return it without empty lines: one would end what is sent."""
    return "\n".join(line for line in pem.decode().splitlines() if line.strip())
