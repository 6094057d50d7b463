"""What HAProxy serves over TLS, looked at from within its container, so that it can be seen wherever gitdeploy runs."""

from __future__ import annotations

import hashlib
import select
import ssl
from collections.abc import Callable

from gitdeploy.config.edgesections import HTTPS_INSIDE
from gitdeploy.engine.protocol import CommandSession, Engine
from gitdeploy.engine.types import Attended
from gitdeploy.errors import EngineError, StageFailed

PATIENCE = 10.0
"""Seconds for one handshake."""

TUNNEL = """\
if command -v nc >/dev/null; then exec nc 127.0.0.1 "$1"
else exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1"; cat <&3 & exec cat >&3' bash "$1"
fi"""


def served_fingerprint(engine: Engine, container: str, name: str, clock: Callable[[], float]) -> str:
    """Return the SHA-256 of the certificate that is served for a name, in hexadecimal digits. Raises StageFailed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is told by its fingerprint
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    end = clock() + PATIENCE
    try:
        command = ("sh", "-c", TUNNEL, "sh", str(HTTPS_INSIDE))
        with engine.exec_attended(container, command, Attended(interactive=True)) as session:
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    _send(session, outgoing.read(), end - clock())
                    incoming.write(_receive(session, end - clock()))
                else:
                    break
    except (EngineError, ssl.SSLError, TimeoutError) as error:
        reason = error.reason if isinstance(error, EngineError) else str(error)
        raise StageFailed(f"{name}: the edge does not answer over TLS: {reason}", "gitdeploy doctor looks at it") from error
    served = tls.getpeercert(binary_form=True)
    return hashlib.sha256(served or b"").hexdigest()


def _send(session: CommandSession, data: bytes, seconds: float) -> None:
    while data:
        if not select.select([], [session.fileno()], [], max(0.0, seconds))[1]:
            raise TimeoutError("nothing can be sent to it")
        data = data[session.send(data) :]


def _receive(session: CommandSession, seconds: float) -> bytes:
    """Wait for what comes from its stdout."""
    while select.select([session.fileno()], [], [], max(0.0, seconds))[0]:
        pieces = session.receive()
        if pieces is None:
            raise TimeoutError("it hung up")
        if data := b"".join(data for stream, data in pieces if stream == 1):
            return data
    raise TimeoutError("nothing comes from it")
