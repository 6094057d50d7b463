"""The pushers of one app who are listening: those whose push is being deployed, and those who wait behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gitdeploy.push import PushRecord
from gitdeploy.relay import Relay
from gitdeploy.spool import Spool

INTERVAL = 0.05
"""Seconds between two looks at the spool while a deployment runs."""


class Pushers:
    """Keeps a relay for each waiting record of one app, and watches for new ones and for a cancel request.

    The watch runs in a thread: while a deployment is under way, whoever pushes next is told at once what they wait for.
    """

    def __init__(self, spool: Spool, app: str) -> None:
        self._spool = spool
        self._app = app
        self._relays: dict[str, Relay] = {}
        self._mutex = threading.Lock()
        self._stop = threading.Event()

    def relay(self, record: PushRecord) -> Relay:
        """The relay to this record's pusher, opened at the first call."""
        with self._mutex:
            if record.name not in self._relays:
                fd = self._spool.consoles.take(record)
                # The hook removes the name when it has read something.
                unread = bool(record.console) and (self._spool.directory / record.console).exists()
                self._relays[record.name] = Relay(fd, held_back=record.held_back, announce=unread)
            return self._relays[record.name]

    def tell(self, record: PushRecord, text: str) -> None:
        """Says a line to one pusher and lets them go."""
        relay = self.relay(record)
        relay.send(f"{text}\n")
        relay.close()

    def watch(
        self, waiting_for: str, on_push: Callable[[PushRecord], None], on_cancel: Callable[[], None], known: frozenset[str]
    ) -> threading.Thread:
        """Starts watching until `unwatch`.

        Args:
            waiting_for: what new pushers are told that runs.
            on_push: called once for each new record of this app.
            on_cancel: called when somebody asked to cancel.
            known: names of the records that are being dealt with.
        """
        self._stop = threading.Event()
        thread = threading.Thread(
            target=self._watch, args=(waiting_for, on_push, on_cancel, set(known), self._stop), name="pushers", daemon=True
        )
        thread.start()
        return thread

    def unwatch(self, thread: threading.Thread) -> None:
        """Ends the watch."""
        self._stop.set()
        thread.join()

    def _watch(
        self,
        waiting_for: str,
        on_push: Callable[[PushRecord], None],
        on_cancel: Callable[[], None],
        seen: set[str],
        stop: threading.Event,
    ) -> None:
        while not stop.wait(INTERVAL):
            if self._spool.take_cancel(self._app):
                on_cancel()
            if self._spool.names() <= seen:
                continue
            records, bad = self._spool.pending()
            for record in records:
                if record.name not in seen and record.app == self._app:
                    self.relay(record).send(f"{waiting_for}; yours is next\n")
                    on_push(record)
            seen |= {record.name for record in records} | {name.removesuffix(".push") for name in bad}
