"""Raw connections to the engine that an `Api` talks to, for what requests cannot do: BuildKit's session, and reading an answer
while the question is still being sent.

A connection is always a plain socket: one thread may write to it while another reads, and shutting it down wakes both. TLS and
ssh end in a socket pair, since neither a TLS object nor a pipe can do that.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from gitdeploy.engine.reach import unreachable
from gitdeploy.engine.transport import Api
from gitdeploy.errors import EngineError, UnfitError

TIMEOUT = 30.0
"""Seconds for a connection to be there, and again for it to be upgraded: a busy engine takes its time."""

GRACE = 2.0
"""Seconds for ssh to end when it is asked to."""

LONGEST_HEAD = 64 * 1024
"""Bytes of an HTTP answer's head."""


Headers = Mapping[str, str | tuple[str, ...]]
"""By name; a tuple is one header for each of its values."""


@dataclass(frozen=True)
class Endpoint:
    """Where an engine listens.

    Attributes:
        name: as the user gave it, for messages.
        host: name or address; the socket's path for "unix".
        port: 0 for "unix", and for "ssh" where ssh's own configuration decides.
        user: for "ssh", "" where ssh's own configuration decides.
        api_version: the version of the Engine API to ask for, "1.41".
        tls: for "tls", how to trust the engine and which certificate to show it.
    """

    name: str
    api_version: str
    kind: Literal["unix", "tcp", "tls", "ssh"]
    host: str
    port: int = 0
    user: str = ""
    tls: ssl.SSLContext | None = None


def endpoint(api: Api) -> Endpoint:
    """Return the endpoint of a docker-py client, with the client's certificates."""
    name, version = api.host, str(api.api_version)
    adapter = api.get_adapter(api.base_url)
    if path := getattr(adapter, "socket_path", None):
        return Endpoint(name, version, "unix", str(path))
    if target := getattr(adapter, "ssh_host", None):
        url = urlsplit(f"ssh://{target}")
        return Endpoint(name, version, "ssh", url.hostname or "", url.port or 0, url.username or "")
    url = urlsplit(api.base_url)
    if url.scheme == "http":
        return Endpoint(name, version, "tcp", url.hostname or "", url.port or 80)
    context = ssl.create_default_context(cafile=api.verify if isinstance(api.verify, str) else None)
    if not api.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if isinstance(api.cert, tuple):
        context.load_cert_chain(*api.cert)
    return Endpoint(name, version, "tls", url.hostname or "", url.port or 443, tls=context)


@contextlib.contextmanager
def dial(where: Endpoint, *, http2: bool = False) -> Iterator[socket.socket]:
    """Yield a connected socket, without a read timeout; TLS is told whether HTTP/2 or 1.1 will be spoken.

    Raises UnfitError if the engine cannot be reached.
    """
    with contextlib.ExitStack() as stack:
        try:
            if where.kind == "unix":
                connection = stack.enter_context(socket.socket(socket.AF_UNIX))
                connection.settimeout(TIMEOUT)
                connection.connect(where.host)
                connection.settimeout(None)
            elif where.kind == "ssh":
                connection = stack.enter_context(_ssh(where))
            else:
                connection = stack.enter_context(_tcp(where))
                if where.tls:
                    from gitdeploy.engine import tls  # noqa: PLC0415 (asyncio takes long to import, only TLS needs it)

                    where.tls.set_alpn_protocols(["h2" if http2 else "http/1.1"])
                    connection = stack.enter_context(tls.wrap(connection, where.tls, where.host))
        except OSError as error:
            raise unreachable(where.name, error) from error
        yield connection


@contextlib.contextmanager
def upgrade(
    where: Endpoint, path: str, headers: Headers, *, protocol: str = "h2c", body: bytes = b""
) -> Iterator[socket.socket]:
    """Yield a connection that left HTTP/1.1 for `protocol`, by POST to `path` (without the API version).

    Raises EngineError, with the HTTP status, if the engine refuses, and UnfitError if it cannot be reached.
    """
    lines = [f"POST /v{where.api_version}{path} HTTP/1.1", "Host: docker", "Connection: Upgrade", f"Upgrade: {protocol}"]
    lines += [f"Content-Length: {len(body)}"] if body else []
    lines += [f"{name}: {value}" for name, value in one_by_one(headers)]
    with dial(where) as connection:
        try:
            connection.settimeout(TIMEOUT)
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            status = _read_status(connection)
            connection.settimeout(None)
        except OSError as error:
            raise unreachable(where.name, error) from error
        if status != 101:
            raise EngineError(f"the Docker Engine refused POST {path} (HTTP status {status})", status)
        yield connection


def one_by_one(headers: Headers) -> list[tuple[str, str]]:
    """Return headers as they are sent."""
    return [(name, one) for name, value in headers.items() for one in ((value,) if isinstance(value, str) else value)]


def hang_up(connection: socket.socket) -> None:
    """End reading and writing, in whatever threads they wait."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _read_status(connection: socket.socket) -> int:
    """Read an answer's head and not one byte of what follows; return the HTTP status, raise OSError if there is none."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < LONGEST_HEAD:
        byte = connection.recv(1)
        if not byte:
            raise ConnectionResetError("it ended without an answer")
        head += byte
    words = head.split(b" ", 2)
    if len(words) < 3 or not words[1].isdigit():
        raise ConnectionError(f"this is no HTTP: {head[:100]!r}")
    return int(words[1])


@contextlib.contextmanager
def _tcp(where: Endpoint) -> Iterator[socket.socket]:
    with socket.create_connection((where.host, where.port), TIMEOUT) as connection:
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a step can be silent for longer than a NAT remembers
        yield connection


@contextlib.contextmanager
def _ssh(where: Endpoint) -> Iterator[socket.socket]:
    """As the docker CLI and docker-py do it: a docker CLI over there copies between its standard streams and the engine."""
    if shutil.which("ssh") is None:
        raise UnfitError(f"there is no ssh program to reach {where.name} with", "install OpenSSH's client")
    command = ["ssh", "-o", "BatchMode=yes"]
    command += ["-l", where.user] if where.user else []
    command += ["-p", str(where.port)] if where.port else []
    command += ["--", where.host, "docker system dial-stdio"]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL)
        theirs.close()
        try:
            yield ours
        finally:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
