"""Whether a new container serves: which check applies, what its answers mean, and the wait for the first good one.

A container that exits or restarts during the wait fails at once, not at the timeout.
"""

from __future__ import annotations

import http.client
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from gitdeploy.config.model import Health, Publish
from gitdeploy.engine.types import Cancel, Container, Engine, Image
from gitdeploy.errors import Cancelled, StageFailed

TICK = 0.02
"""Seconds between two looks at the container: an exit is seen within this time."""


@dataclass(frozen=True)
class Check:
    """How one app is asked.

    Attributes:
        kind: "http", "tcp", "image" (its HEALTHCHECK) or "uptime".
        port: container port for http and tcp.
    """

    kind: str
    port: int = 0

    def __str__(self) -> str:
        texts = {
            "http": f"HTTP on port {self.port}",
            "tcp": f"TCP connect to port {self.port}",
            "image": "the image's HEALTHCHECK",
        }
        return texts.get(self.kind, "staying up")


def pick(health: Health, image: Image, publish: Sequence[Publish]) -> Check:
    """The check that applies: explicit, else the image's HEALTHCHECK, else a TCP connect, else "stays up". Pure."""
    tcp = [p.container_port for p in publish if p.protocol == "tcp"]
    exposed = sorted(int(p.partition("/")[0]) for p in image.ports if p.endswith("/tcp"))
    port = health.port or (tcp or exposed or [0])[0]
    if health.path and port:
        return Check("http", port)
    if health.port:
        return Check("tcp", port)
    if image.healthcheck:
        return Check("image")
    return Check("tcp", port) if port else Check("uptime")


def status_accepted(status: int, accepted: Iterable[str]) -> bool:
    """Whether an HTTP status is among "200" or "200-399" entries. Pure."""
    for entry in accepted:
        low, _, high = entry.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def gone_wrong(container: Container | None) -> str:
    """Why this container can never get healthy any more, "" if it still can. Pure."""
    if container is None:
        return "the new container disappeared while it was starting"
    if container.restarts:
        return f"the new container exited with code {container.exit_code} and was started again by its restart policy"
    if container.state in ("exited", "dead"):
        killed = " (killed for using too much memory)" if container.oom_killed else ""
        return f"the new container exited with code {container.exit_code}{killed}"
    return ""


def endpoints(container: Container, port: int) -> list[tuple[str, int]]:
    """Where a container port may be reached: its own addresses, then the ports it publishes. Pure."""
    own = [(ip, port) for ip in container.addresses.values() if ip]
    published = [
        (p.host_ip if p.host_ip not in ("", "0.0.0.0", "::") else "127.0.0.1", p.host_port)
        for p in container.publish
        if p.container_port == port and p.protocol == "tcp"
    ]
    return [*own, *published] or [("127.0.0.1", port)]


def ask(endpoint: tuple[str, int], check: Check, health: Health) -> str:
    """Asks once; returns "" for a good answer, else the answer in words. Takes at most `health.timeout` seconds."""
    try:
        if check.kind == "tcp":
            return _ask_tcp(endpoint, health.timeout)
        connection = http.client.HTTPConnection(*endpoint, timeout=health.timeout)
        try:
            connection.request("GET", health.path, headers={"User-Agent": "gitdeploy", **health.headers})
            status = connection.getresponse().status
        finally:
            connection.close()
        return "" if status_accepted(status, health.status) else f"GET {health.path} answered {status}"
    except (OSError, http.client.HTTPException) as error:
        return f"{check!s}: {error or type(error).__name__}"


def _ask_tcp(endpoint: tuple[str, int], timeout: float) -> str:
    """A connection that stands. Docker's proxy accepts for a dead port too and hangs up at once, so wait for that."""
    with socket.create_connection(endpoint, timeout=timeout) as connection:
        if endpoint[0] != "127.0.0.1":
            return ""
        connection.settimeout(0.1)
        try:
            return "" if connection.recv(1) else "the connection was closed at once"
        except TimeoutError:
            return ""


@dataclass(frozen=True)
class Waiter:
    """Waits for containers to get healthy.

    Attributes:
        engine: where they run.
        cancel: ends the wait.
        clock: seconds, monotonic.
    """

    engine: Engine
    cancel: Cancel
    clock: Callable[[], float]

    def wait(self, container_id: str, check: Check, health: Health) -> None:
        """Returns when the container is healthy.

        Raises:
            StageFailed: it exited, restarted, or was not healthy in time; with its last log lines and health answers.
            Cancelled: `cancel` was set.
        """
        started = self.clock()
        answers: deque[str] = deque(maxlen=5)
        failures = 0
        pool = ThreadPoolExecutor(1, "health")
        try:
            while True:
                container = self._alive(container_id, answers)
                verdict = self._verdict(pool, container, check, health, self.clock() - started)
                if verdict == "":
                    return
                if verdict is not None:
                    if not answers or answers[-1] != verdict:
                        answers.append(verdict)
                    failures = failures + 1 if self.clock() - started > health.start_period else 0
                    if failures >= health.retries:
                        took = self.clock() - started
                        self._fail(container_id, f"the new container was not healthy after {took:.0f} s ({check})", answers)
                self._pause(health.interval if verdict is not None else TICK)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _verdict(
        self, pool: ThreadPoolExecutor, container: Container, check: Check, health: Health, elapsed: float
    ) -> str | None:
        """ "" healthy, a text for a bad answer, None for not known yet."""
        if check.kind == "uptime":
            return "" if container.running and elapsed >= health.min_uptime else None
        if check.kind == "image":
            if container.health == "healthy":
                return ""
            answer = container.health_log[-1] if container.health_log else "no answer yet"
            if container.health == "unhealthy":
                self._fail(container.id, "the image's HEALTHCHECK says unhealthy", container.health_log)
            return f"HEALTHCHECK is {container.health or 'absent'}: {answer}" if elapsed > health.start_period else None
        return self._ask_watching(pool, container, check, health)

    def _ask_watching(self, pool: ThreadPoolExecutor, container: Container, check: Check, health: Health) -> str:
        """Asks in a thread, with an eye on the container: a dead one would keep the question waiting."""
        answer = "no address to ask"
        for endpoint in endpoints(container, check.port):
            future: Future[str] = pool.submit(ask, endpoint, check, health)
            while True:
                try:
                    answer = future.result(TICK)
                    break
                except FutureTimeout:
                    self._alive(container.id, (answer,))
            if not answer:
                break
        return answer

    def _pause(self, seconds: float) -> None:
        if self.cancel.wait(seconds):
            raise Cancelled("cancelled while waiting for the new container to get healthy")

    def _alive(self, container_id: str, answers: Iterable[str]) -> Container:
        if self.cancel.is_set():
            raise Cancelled("cancelled while waiting for the new container to get healthy")
        container = self.engine.container(container_id)
        wrong = gone_wrong(container)
        if wrong or container is None:
            self._fail(container_id, wrong, answers)
            raise AssertionError  # _fail always raises
        return container

    def _fail(self, container_id: str, reason: str, answers: Iterable[str]) -> None:
        log = [f"log: {line}" for line in self.engine.logs(container_id, 20)] if self.engine.container(container_id) else []
        tail = [*log, *(f"health: {answer}" for answer in answers)]
        hint = "see the container's log above; [apps.X.health] sets what is asked and how long gitdeploy waits"
        raise StageFailed(reason, hint, tail)
