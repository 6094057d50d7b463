"""What is said during a deployment, and to whom: the log file gets every line, the pushers what they need.

loguru writes the files: one log for each deployment, cut at a size, and gitdeploy.log for gitdeploy itself, rotated.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from gitdeploy.engine.cutting import hide_with
from gitdeploy.terminal.redact import Redactor
from gitdeploy.terminal.relay import Relay

PROGRESS_INTERVAL = 0.5
"""Seconds between two updates of a progress line."""


class Console:
    """One deployment's voice; an `Output` for the engine. Safe to use from several threads.

    Attributes:
        log: the log file.
        redact: makes text harmless and hides the secrets that this deployment has seen.
    """

    def __init__(
        self, log: Path, size: int, clock: Callable[[], float] = time.monotonic, redact: Redactor | None = None
    ) -> None:
        """Open the log file, 0600, to be cut at `size` bytes."""
        self.log = log
        self.redact = redact or Redactor()
        self.full = False
        self._clock = clock
        self._left = size
        self._relays: list[Relay] = []
        self._shown: dict[str, float] = {}
        self._mutex = threading.Lock()
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.touch(mode=0o600)
        self._log = logger.bind(deployment=str(log))
        self._sink = logger.add(
            log,
            format="{time:YYYY-MM-DD HH:mm:ss.SSS} {message}",
            filter=lambda record: record["extra"].get("deployment") == str(log),
            colorize=False,
        )

    def attach(self, relay: Relay) -> None:
        """Let one more pusher listen."""
        with self._mutex:
            self._relays.append(relay)

    def line(self, text: str, *, detail: bool = False) -> None:
        """Say one or more lines; `detail` goes to the log, and to pushers only when the app asks for full output."""
        for part in text.splitlines() or [""]:
            shown = self.redact(part)
            with self._mutex:
                self._write_log(shown)
                if not detail or self.full:
                    self._send(f"{shown}\n")

    def progress(self, key: str, text: str) -> None:
        """Show the state of something long in place of its last one; the log gets none of it."""
        now = self._clock()
        with self._mutex:
            if now - self._shown.get(key, -1.0) >= PROGRESS_INTERVAL:
                self._shown[key] = now
                self._send(f"{self.redact(text)}\r")

    def _send(self, text: str) -> None:
        for relay in self._relays:
            relay.send(text)

    def _write_log(self, text: str) -> None:
        cost = len(text.encode("utf-8", "replace")) + 25
        if self._left >= cost:
            self._left -= cost
            self._log.info("{}", text)
        elif self._left > 0:
            self._left = 0
            self._log.info("… the log is cut here: it reached server.log_size")

    def close(self) -> None:
        """Close the log. Pushers still listen: they go when the push has left the spool, for until then a hook takes the
        end of its console for the death of the worker."""
        logger.remove(self._sink)


def setup(path: Path | None, *, stderr: bool = False) -> None:
    """Send gitdeploy's own log, with tracebacks but no values of variables, to `path` (rotated) and optionally to stderr."""
    logger.remove()
    if path:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        logger.add(
            path,
            rotation="5 MB",
            retention=3,
            diagnose=False,  # values of variables can be secrets
            backtrace=False,
            filter=lambda record: "deployment" not in record["extra"],
            format="{time:YYYY-MM-DD HH:mm:ss.SSS} {process} {level} {message}",
        )
    if stderr:
        logger.add(sys.stderr, format="{message}", filter=lambda record: "deployment" not in record["extra"], diagnose=False)


_hide = Redactor()


def hide(redact: Redactor) -> None:
    """Let nothing into gitdeploy's own log, from this process and from now on, but what has passed through this, and let the
    engine's text pass through it before it is cut."""
    global _hide  # noqa: PLW0603 - one log, one process, and one app that it works for
    _hide = redact
    hide_with(redact)


def note(text: str) -> None:
    """Write a line to gitdeploy's own log."""
    logger.info("{}", _hide(text.replace("\n", " ")))


def crash(text: str) -> None:
    """Write a line and the traceback of the exception being handled to gitdeploy's own log."""
    logger.error("{}", _hide(f"{text}\n{traceback.format_exc()}"))
