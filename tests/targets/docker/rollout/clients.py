"""Clients of all kinds that count what they lose: keep-alive, new connections, slow requests, a WebSocket."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import threading
from collections import Counter
from contextlib import ExitStack
from types import TracebackType

from tests.support.prober import Findings, Prober


class Client:
    """Works in a thread from entering the context to leaving it.

    Attributes:
        sent: requests or messages.
        errors: what went wrong, in words → how often.
        answers: answer → how often.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.port = port
        self.host = host
        self.sent = 0
        self.errors: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stopping.set()
        self._thread.join()

    def _guarded(self) -> None:
        while not self.stopping.is_set():
            try:
                self.work()
            except (OSError, http.client.HTTPException) as error:
                self.errors[f"{type(error).__name__}: {error}"] += 1

    def work(self) -> None:
        """Works until stopped, or raises."""
        raise NotImplementedError


class KeepAlive(Client):
    """One connection, on which a request follows the other, with a pause now and then to be idle at a switch.

    Attributes:
        closed: how often an answer announced that it is the connection's last.
    """

    path = "/"
    closed = 0

    def work(self) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.connect()
        connection.auto_open = 0  # a connection that was closed counts as an error, also between two requests
        while not self.stopping.wait(0.05 if self.sent % 10 == 0 else 0.001):
            self.sent += 1
            connection.request("GET", self.path)
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.will_close:
                self.closed += 1
                break
            if answer.status == 200:
                self.answers[body] += 1
            else:
                self.errors[f"HTTP {answer.status}"] += 1
        connection.close()


class Slow(KeepAlive):
    """Requests that are under way when the switch comes."""

    path = "/slow/1.5"


class WebSocket(Client):
    """Stays connected; numbers must come without a gap."""

    def work(self) -> None:
        with socket.create_connection((self.host, self.port), timeout=30) as connection, connection.makefile("rb") as stream:
            key = base64.b64encode(os.urandom(16)).decode()
            connection.sendall(
                b"GET /socket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            status = stream.readline().decode().strip()
            if " 101 " not in status:
                raise OSError(status)
            while stream.readline().strip():
                pass
            expected = 0
            while not self.stopping.is_set():
                version, number = self.message(stream.read(2), stream)
                if int(number) != expected:
                    raise OSError(f"{number} after {expected}")
                expected += 1
                self.sent += 1
                self.answers[version] += 1

    @staticmethod
    def message(header: bytes, stream: object) -> tuple[str, str]:
        """The version and the number of one text frame."""
        if len(header) < 2:
            raise OSError("the connection was cut")
        version, _, number = stream.read(header[1]).decode().partition(" ")  # type: ignore[attr-defined]
        return version, number


class Load:
    """All of them at once.

    Attributes:
        clients: by name.
        findings: of the client that opens a connection for every request.
    """

    def __init__(self, port: int, websocket: bool = False, *, host: str = "127.0.0.1", patience: float = 5.0) -> None:
        """`patience`: seconds for which a new connection's request may take; the others' have 30."""
        self.clients: dict[str, Client] = {
            "keep-alive 1": KeepAlive(port, host),
            "keep-alive 2": KeepAlive(port, host),
            "slow": Slow(port, host),
        }
        if websocket:
            self.clients["websocket"] = WebSocket(port, host)
        self._prober = Prober(f"http://{host}:{port}/", pause=0.003, timeout=patience)
        self._stack = ExitStack()

    def __enter__(self) -> Load:
        for client in self.clients.values():
            self._stack.enter_context(client)
        self._stack.enter_context(self._prober)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in self.clients.values():
            client.stopping.set()
        self._stack.close()

    @property
    def findings(self) -> Findings:
        return self._prober.findings

    @property
    def lost(self) -> dict[str, dict[str, int]]:
        """Client → what went wrong for it; {} if nothing did."""
        lost = {name: dict(client.errors) for name, client in self.clients.items() if client.errors}
        return lost | ({"new connections": dict(self.findings.errors)} if self.findings.failed else {})
