"""One question to a container over the network: where it can be reached from here, and what its answer means."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitdeploy.config.sections import Health
from gitdeploy.engine.types import Container

CONNECT = 1.0
"""Seconds after which an address counts as out of reach: on one machine connections take less than a millisecond."""

NOT_LISTENING = "connection refused: nothing listens there, or only on the container's own loopback interface"

Address = tuple[str, int]


class OutOfReachError(Exception):
    """No packet comes back: the container may serve well, and cannot be asked from here."""


def status_accepted(status: int, accepted: Iterable[str]) -> bool:
    """Return whether an HTTP status is among "200" or "200-399" entries. Pure."""
    for entry in accepted:
        low, _, high = entry.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def own_addresses(container: Container, port: int) -> list[Address]:
    """Return where a container port is on the container's networks. Pure."""
    return [(ip, port) for ip in container.addresses.values() if ip]


def published_addresses(container: Container, port: int, host: str) -> list[Address]:
    """Return where a container port is published on `host`, the engine's machine. Pure."""
    return [
        (p.host_ip if p.host_ip not in ("", "0.0.0.0", "::") else host, p.host_port)
        for p in container.publish
        if p.container_port == port and p.protocol == "tcp"
    ]


def engine_host() -> str:
    """Return the engine's machine as seen from here: loopback, or the default gateway for a worker in a container.

    Such a worker has a virtual Ethernet pair (veth) for its default route, whose other end has another index on the host.
    """
    try:
        routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
        interface, gateway = next((r[0], r[2]) for r in routes if r[1] == "00000000" and r[2] != "00000000")
        device = Path("/sys/class/net", interface)
        if (device / "iflink").read_text() != (device / "ifindex").read_text():
            return socket.inet_ntoa(bytes.fromhex(gateway)[::-1])
    except (OSError, StopIteration, ValueError):
        pass
    return "127.0.0.1"


def ask_http(address: Address, health: Health) -> str:
    """GET `health.path`; return "" for an accepted status, else the answer in words. Raises OutOfReachError."""
    connection = http.client.HTTPConnection(*address)
    ended = threading.Event()
    late = f"GET {health.path}: no answer in {health.timeout:g} s"
    try:
        with _connected(address, health.timeout) as connection.sock, _ended_after(health.timeout, connection.sock, ended):
            connection.request("GET", health.path, headers={"User-Agent": "gitdeploy", "Connection": "close", **health.headers})
            answer = connection.getresponse()
            if ended.is_set():
                return late
    except TimeoutError:
        return late
    except (OSError, ValueError, http.client.HTTPException) as error:
        return late if ended.is_set() else f"GET {health.path}: {_words(error)}"
    if status_accepted(answer.status, health.status):
        return ""
    return f"GET {health.path}: answered {answer.status} {answer.reason}, expected {' or '.join(health.status)}"


@contextmanager
def _ended_after(seconds: float, connection: socket.socket, ended: threading.Event) -> Iterator[None]:
    """End what is read from the connection inside the block when so many seconds have passed, and set `ended` then.

    The connection's own timeout begins anew with every byte, and a broken app may send one now and then for ever.
    """

    def end() -> None:
        ended.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def ask_tcp(address: Address, health: Health, published: bool = False) -> str:
    """Connect; return "" if the connection stands, else what happened. Raises OutOfReachError.

    `published`: Docker's proxy accepts for a container that does not listen, and hangs up at once, so that is waited for.
    """
    try:
        with _connected(address, health.timeout) as connection:
            if not published:
                return ""
            connection.settimeout(0.1)
            return "" if connection.recv(1) else f"TCP port {address[1]}: the connection was closed at once"
    except TimeoutError:
        return ""
    except OSError as error:
        return f"TCP port {address[1]}: {_words(error)}"


def _connected(address: Address, timeout: float) -> socket.socket:
    """Return a connection with that timeout for what follows. Raises OutOfReachError, or OSError if it was refused."""
    try:
        connection = socket.create_connection(address, min(CONNECT, timeout))
    except ConnectionError:
        raise
    except OSError as error:  # no answer in time, no route to the host or network
        raise OutOfReachError(f"{address[0]} port {address[1]}: {_words(error)}") from error
    connection.settimeout(timeout)
    return connection


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return NOT_LISTENING
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    return str(error) or type(error).__name__
