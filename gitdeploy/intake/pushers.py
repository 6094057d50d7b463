"""The pushers of one app who are listening: those whose push is being deployed, and those who wait behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gitdeploy.intake.consoles import MOST
from gitdeploy.intake.push import PushRecord
from gitdeploy.intake.spool import Spool
from gitdeploy.terminal import console as log
from gitdeploy.terminal.relay import Relay

INTERVAL = 0.05
"""Seconds between two looks at the spool while a deployment runs."""

SHARE = 10
"""A look that takes long, for a spool that somebody filled, is followed by a pause of this many times its length."""


class Pushers:
    """Keeps a relay for each waiting record of one app, and watches for new ones and for a cancel request.

    The watch runs in a thread: while a deployment is under way, people who push are told at once what they wait for.
    """

    def __init__(self, spool: Spool, app: str) -> None:
        self._spool = spool
        self._app = app
        self._relays: dict[str, Relay] = {}
        self._mutex = threading.Lock()

    def relay(self, record: PushRecord) -> Relay:
        """Return the relay to this record's pusher, opened at the first call; closed where too many listen."""
        with self._mutex:
            if record.name not in self._relays:
                self._relays[record.name] = self._open(record)
            return self._relays[record.name]

    def _open(self, record: PushRecord) -> Relay:
        if sum(relay.connected for relay in self._relays.values()) >= MOST:
            return Relay(-1)
        fd = self._spool.consoles.take(record)
        # The hook removes the name when it has read something.
        unread = bool(record.console) and self._spool.shared.has(record.console)
        return Relay(fd, held_back=record.held_back, announce=unread)

    def tell(self, record: PushRecord, text: str) -> None:
        """Say a line to one pusher and let them go."""
        relay = self.relay(record)
        relay.send(f"{text}\n")
        relay.close()

    @contextmanager
    def watching(
        self, waiting_for: str, known: frozenset[str], on_push: Callable[[PushRecord], None], look: Callable[[], None]
    ) -> Iterator[None]:
        """Watch the spool while the block runs.

        Args:
            waiting_for: what pushers are told that runs.
            known: names of the records that are being dealt with; all others of this app are new.
            on_push: called once for each new record.
            look: called at each look, to see whether the work is to be cancelled.
        """
        stop = threading.Event()

        def watch() -> None:
            seen, pause = set(known), 0.0
            while not stop.wait(pause):
                began = time.monotonic()
                try:
                    look()
                    self._look(waiting_for, seen, on_push)
                except Exception:  # the next look may do better; the deployment goes on in any case
                    log.crash(f"{self._app}: looking for new pushes failed")
                pause = max(INTERVAL, SHARE * (time.monotonic() - began))

        thread = threading.Thread(target=watch, name="pushers", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _look(self, waiting_for: str, seen: set[str], on_push: Callable[[PushRecord], None]) -> None:
        if not self._spool.more and self._spool.names() <= seen:
            return
        records, bad = self._spool.pending()
        seen |= {name.removesuffix(".push") for name in bad}
        for record in records:
            if record.name not in seen:
                seen.add(record.name)
                if record.app == self._app:
                    self.relay(record).send(f"{waiting_for}; yours is next\n")
                    on_push(record)
