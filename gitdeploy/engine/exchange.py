"""One long request: its body streams out while its answer streams in, until it ends, is cancelled or takes too long.

requests sends the whole body before it reads, and so would hide what the engine says meanwhile, above all why it hangs up.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from gitdeploy.engine.diagnosis import refused
from gitdeploy.engine.dial import Endpoint, dial, hang_up
from gitdeploy.engine.messages import decoded, lines, refusal
from gitdeploy.engine.reach import unreachable
from gitdeploy.engine.transport import CANCEL_INTERVAL
from gitdeploy.engine.types import Cancel
from gitdeploy.errors import BuildFailed, Cancelled, GitdeployError

GRACE = 0.6
"""Seconds that the engine gets to end a cancelled request by itself, and so to say that nothing of it runs any more."""

CHUNK = 64 * 1024

GUARD_INTERVAL = 1.0
"""Seconds between two calls of a guard."""

WORTH_TELLING = 1_000_000
"""Bytes between two reports of how much is sent."""


@dataclass(frozen=True)
class ExchangeLimits:
    """What ends an exchange before its time.

    Attributes:
        timeout: seconds that it may last.
        stop: asks the engine to end it, in a thread; None where closing the connection is the way to ask.
        guard: called once a second; the GitdeployError that it raises ends the exchange.
    """

    cancel: Cancel
    timeout: float
    stop: Callable[[], object] | None = None
    guard: Callable[[], object] = lambda: None


def converse(
    where: Endpoint,
    path: str,
    headers: Mapping[str, str],
    body: Iterator[bytes] | None,
    *,
    limits: ExchangeLimits,
    sent: Callable[[int], object],
) -> Generator[dict[str, Any], None, None]:
    """POST `body`, if any, to `path` (without the API version) and yield the JSON messages of the answer as they come.

    Without one the engine is told so: its HTTP server notices that this side hung up only once all of a body has been read, and
    nobody reads the empty one of a build whose files come over a session; engine 29 then goes on with the build for good.
    `sent` is told, in another thread, how many bytes of the body are sent. Raises Cancelled, BuildFailed for the time limit,
    what `body` raises, EngineError for an HTTP status other than 200, and UnfitError if the engine goes away.
    """
    failure: Exception | None = None
    with dial(where) as connection:
        request = http.client.HTTPConnection("docker")
        request.sock = connection
        length = {"Content-Length": "0"} if body is None else {"Transfer-Encoding": "chunked"}
        with _Sender(connection, body or (), sent) as sender, _Watch(connection, limits) as watch:
            try:
                request.putrequest("POST", f"/v{where.api_version}{path}", skip_accept_encoding=True)
                for name, value in {**headers, "Content-Type": "application/x-tar", **length}.items():
                    request.putheader(name, value)
                request.endheaders()
                if body is not None:
                    sender.start()
                response = request.getresponse()
                if response.status == 200:
                    yield from map(decoded, lines(iter(partial(response.read1, CHUNK), b"")))
                else:
                    message = refusal(response.read()) or f"HTTP {response.status} {response.reason}"
                    failure = refused(response.status, message)
            except (OSError, http.client.HTTPException) as error:
                failure = unreachable(where.name, error)
    if sender.error:
        raise sender.error
    watch.check()
    if failure:
        raise failure


class _Sender(threading.Thread):
    """Sends the body in HTTP's chunks; `error` is what producing it raised."""

    def __init__(self, connection: socket.socket, body: Iterable[bytes], sent: Callable[[int], object]) -> None:
        super().__init__(name="sender", daemon=True)
        self.error: BaseException | None = None
        self._connection = connection
        self._body = body
        self._sent = sent

    def __enter__(self) -> _Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        hang_up(self._connection)
        if self.ident is not None:
            self.join()

    def run(self) -> None:
        with contextlib.suppress(OSError):  # the engine may answer and hang up before it has read all; its answer says why
            total = told = 0
            for chunk in self._chunks():
                self._connection.sendall(b"%x\r\n" % len(chunk), socket.MSG_MORE)
                self._connection.sendall(chunk, socket.MSG_MORE)
                self._connection.sendall(b"\r\n")
                total += len(chunk)
                if total - told >= WORTH_TELLING:
                    told = total
                    self._sent(total)
            if not self.error:
                self._connection.sendall(b"0\r\n\r\n")

    def _chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces large enough to be worth a system call."""
        pieces: list[bytes] = []
        waiting = 0
        try:
            for piece in self._body:
                pieces.append(piece)
                waiting += len(piece)
                if waiting >= CHUNK:
                    yield b"".join(pieces)
                    pieces, waiting = [], 0
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            hang_up(self._connection)  # the engine must not take half a body for a whole one
            return
        if waiting:
            yield b"".join(pieces)


class _Watch(threading.Thread):
    """Ends the exchange when it is cancelled or its time is over."""

    def __init__(self, connection: socket.socket, limits: ExchangeLimits) -> None:
        super().__init__(name="watch", daemon=True)
        self._connection = connection
        self._limits = limits
        self._done = threading.Event()
        self._verdict: GitdeployError | None = None

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        now = time.monotonic()
        end, look = now + self._limits.timeout, now + GUARD_INTERVAL
        while not self._done.wait(CANCEL_INTERVAL):
            now = time.monotonic()
            if self._limits.cancel.is_set():
                self._verdict = Cancelled("cancelled")
            elif now >= end:
                reason = f"the build was not done within {self._limits.timeout:g} s"
                self._verdict = BuildFailed(reason, hint="raise build.timeout if it needs longer")
            elif now >= look:
                look = now + GUARD_INTERVAL
                self._verdict = self._objection()
            if self._verdict is None:
                continue
            if self._limits.stop:
                # In a thread of its own: an engine that hangs must not hold up the end.
                threading.Thread(target=self._limits.stop, name="stop", daemon=True).start()
                self._done.wait(GRACE)
            hang_up(self._connection)
            return

    def _objection(self) -> GitdeployError | None:
        try:
            self._limits.guard()
        except GitdeployError as error:
            return error
        return None

    def check(self) -> None:
        """Raise what ended the exchange, if anything did."""
        if self._verdict:
            raise self._verdict
