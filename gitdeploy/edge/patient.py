"""A session of requests whose every exchange has an end: a deadline for all of it, a cancel, and a limit of size.

requests alone has a limit of time for each read, so that who sends a byte a second holds it for good, and none for names.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from threading import Event, Thread
from typing import Any

from gitdeploy.edge.orderfailed import retry_at
from gitdeploy.engine.types import Cancel
from gitdeploy.errors import Cancelled

MAX_ANSWER = 1_000_000
SILENCE = 30
"""Seconds without a byte after which an exchange that was given up ends, too; it is in a thread of its own."""


class PatientSession:
    """In the place of a requests.Session; it is what acme's ClientNetwork calls.

    Attributes:
        status: the last answer's HTTP status, 0 while there is none.
        retry_after: its Retry-After, "" without one.
    """

    def __init__(self, session: Any, until: float, cancel: Cancel, clock: Callable[[], float]) -> None:
        """Args: until: the deadline of everything, by time.monotonic(). clock: seconds since the epoch."""
        self._session = session
        self._until = until
        self._cancel = cancel
        self._clock = clock
        self.status = 0
        self.retry_after = ""

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Return the answer; raise OSError for none, TimeoutError at the deadline, Cancelled."""
        self.status, self.retry_after = 0, ""
        self._go_on()
        question = _Question(self._session, min(SILENCE, max(1.0, self._until - time.monotonic())))
        thread = Thread(target=question.run, args=(method, url, options), daemon=True)
        thread.start()
        try:
            while not question.done.wait(0.05):
                self._go_on()
        finally:
            question.given_up.set()
        if question.error:
            raise question.error
        self.status = question.answer.status_code
        self.retry_after = question.answer.headers.get("Retry-After", "")
        return question.answer

    def polls(self) -> Iterator[int]:
        """Yield 0, 1, … with a wait before each but the first, as long as the last answer asked for; end at the deadline."""
        for turn, pause in enumerate(chain((0.0, 0.25, 0.5, 1.0, 2.0), repeat(5.0))):
            if turn:
                now = self._clock()
                seconds = max(pause, retry_at(self.retry_after, now) - now)
                if time.monotonic() + seconds > self._until:
                    return
                self._cancel.wait(seconds)
                self._go_on()
            yield turn

    def _go_on(self) -> None:
        if self._cancel.is_set():
            raise Cancelled("stopped while a certificate was ordered")
        if time.monotonic() > self._until:
            raise TimeoutError("no answer in time")

    def close(self) -> None:
        """Close its connections."""
        self._session.close()


class _Question:
    def __init__(self, session: Any, silence: float) -> None:
        self._session = session
        self._silence = silence
        self.done, self.given_up = Event(), Event()
        self.answer: Any = None
        self.error: Exception | None = None

    def run(self, method: str, url: str, options: dict[str, Any]) -> None:
        """Leave an answer or an error behind."""
        try:
            with self._session.request(method, url, **{**options, "timeout": self._silence, "stream": True}) as answer:
                self.answer = self._whole(answer)
        except Exception as error:  # whatever it is, the thread that waits raises it
            self.error = error
        self.done.set()

    def _whole(self, answer: Any) -> Any:
        """Return the answer with its body read."""
        body = b""
        for piece in answer.iter_content(64):  # so that it soon sees that it was given up
            body += piece
            if len(body) > MAX_ANSWER or self.given_up.is_set():
                raise OSError(f"an answer of more than {MAX_ANSWER} bytes")
        whole = type(answer)()
        for attribute in ("status_code", "headers", "url", "request", "reason", "encoding"):
            setattr(whole, attribute, getattr(answer, attribute))
        whole.raw = io.BytesIO(body)
        return whole
