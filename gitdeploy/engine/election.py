"""Waits until a cluster has a leader again: while its managers elect one, they answer what they are asked with errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from gitdeploy.errors import EngineError

Answer = TypeVar("Answer")

LEADERLESS = (
    "have a leader",
    "no elected cluster leader",
    "lost leader",
    "proposal dropped",
    "Manager is being prepared",
    "code = Unavailable",
    "deadline exceeded",
)
"""What engines say then, and when they have just begun, with HTTP 500 or 503; the last one after 20 s: a machine is gone."""

ELECTION = 40.0
"""Seconds for the managers to agree on a leader; where its machine is gone, the first answer takes 20 s."""

PAUSE = 0.5
"""Seconds between two attempts."""


def leaderless(reason: str) -> bool:
    """Return whether an error says no more than that there is no leader just now. Pure."""
    return any(words in reason for words in LEADERLESS)


class Election:
    """Asks again what was asked while there was no leader.

    Attributes:
        waits: how often that was so: what was asked then may have been done all the same.
    """

    def __init__(self, patience: float) -> None:
        """`patience`: seconds for each call; after one that waited in vain, none does until the cluster answers."""
        self._patience = patience
        self._in_vain = False
        self.waits = 0

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """Return what `call` does, as soon as there is a leader. Raises EngineError if there is none in time."""
        end = time.monotonic() + (0.0 if self._in_vain else self._patience)
        while True:
            try:
                answer = call()
            except EngineError as error:
                if not leaderless(error.reason):
                    raise
                if time.monotonic() >= end:
                    self._in_vain = True
                    raise
                self.waits += 1
                time.sleep(PAUSE)
            else:
                self._in_vain = False
                return answer
