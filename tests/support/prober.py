"""A client that never stops asking, to see what a deployment costs those who use the app."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit


@dataclass
class Findings:
    """What a Prober met.

    Attributes:
        sent: requests, answered or not.
        failed: those refused, cut, timed out or answered with anything but 200.
        errors: kind of failure → how often.
        bodies: answer → how often, in the order they were first seen.
        longest_gap: seconds, the longest time between the ends of two good answers that followed each other.
    """

    sent: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)
    longest_gap: float = 0.0


class Prober:
    """Requests a URL in a thread from entering the context to leaving it, each time over a new connection.

    Attributes:
        findings: read them after the context's end, or while it lasts for a first look.
    """

    def __init__(self, url: str, pause: float = 0.001, timeout: float = 5.0, host: str = "") -> None:
        """`pause` between requests and `timeout` of each, in seconds; `host` is the Host header, "" for the URL's own."""
        self.findings = Findings()
        self._url = urlsplit(url)
        self._pause = pause
        self._timeout = timeout
        self._headers = {"Connection": "close", **({"Host": host} if host else {})}
        self._stop = threading.Event()
        self._last_good: float | None = None
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def __enter__(self) -> Prober:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            self._ask()

    def _ask(self) -> None:
        assert self._url.hostname
        self.findings.sent += 1
        connection = http.client.HTTPConnection(self._url.hostname, self._url.port, timeout=self._timeout)
        try:
            connection.request("GET", self._url.path or "/", headers=self._headers)
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            self._count_failure(type(error).__name__)
        else:
            if answer.status == 200:
                self._count_answer(body)
            else:
                self._count_failure(f"HTTP {answer.status}")
        finally:
            connection.close()

    def _count_failure(self, kind: str) -> None:
        self.findings.failed += 1
        self.findings.errors[kind] += 1

    def _count_answer(self, body: str) -> None:
        now = time.monotonic()
        if self._last_good is not None:
            self.findings.longest_gap = max(self.findings.longest_gap, now - self._last_good)
        self._last_good = now
        self.findings.bodies[body] += 1
