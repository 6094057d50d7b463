"""The pushers' consoles that a supervisor holds open: when a child is killed in the middle of a deployment, the pushers do not
read the end, and the child that takes its place goes on telling them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable

from gitdeploy.intake.push import PushRecord
from gitdeploy.intake.shareddirectory import SharedDirectory

MOST = 200
"""Consoles that are held at the same time: more pushers than that wait for nothing worth more descriptors."""


class Consoles:
    """Descriptors of FIFOs in the spool, by push record. Children inherit them."""

    def __init__(self, spool: SharedDirectory) -> None:
        self._spool = spool
        self._held: dict[str, tuple[str, int]] = {}

    def hold(self, records: Iterable[PushRecord]) -> None:
        """Open the consoles of these records, as far as somebody reads them."""
        for record in records:
            if record.console and record.name not in self._held and len(self._held) < MOST:
                fd = self._spool.fifo(record.console)
                if fd >= 0:
                    self._held[record.name] = record.app, fd

    def take(self, record: PushRecord) -> int:
        """Return a descriptor of this record's console for whoever writes to it, -1 if nobody reads there."""
        if record.name in self._held:
            with contextlib.suppress(OSError):  # too many open files: this pusher hears nothing
                return os.dup(self._held[record.name][1])
            return -1
        return self._spool.fifo(record.console) if record.console else -1

    def keep(self, names: Collection[str]) -> None:
        """Close all but the consoles of these records: the others' pushers may go."""
        self._close([name for name in self._held if name not in names])

    def drop(self, name: str) -> None:
        """Close the console of this record, if it is held here."""
        self._close([name] if name in self._held else [])

    def keep_app(self, app: str) -> None:
        """In a child: closes what is another app's, whose pushers would wait for this one too."""
        self._close([name for name, (owner, _) in self._held.items() if owner != app])

    def drop_app(self, app: str) -> None:
        """Close the consoles of an app that nobody works for any more."""
        self._close([name for name, (owner, _) in self._held.items() if owner == app])

    def _close(self, names: list[str]) -> None:
        for name in names:
            os.close(self._held.pop(name)[1])
