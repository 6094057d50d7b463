"""Waiting until what runs in an old release has ended, with an eye on the new one."""

from __future__ import annotations

import time
from collections.abc import Callable

from gitdeploy.targets.router.switch import POLL
from gitdeploy.targets.strategies.takingover import TakingOver

WATCH = 1.0
"""Seconds for which the old release stays after the switch at least, to come back if the new one breaks under traffic."""

FOLLOW = 2.5
"""The same where nobody counts what the old release still has: it came through HAProxy before a reload, or through another
proxy, which has to notice the new replicas first, too."""

TICK = 0.05
"""Seconds between two looks at the new replicas."""


def drain(r: TakingOver, watch: float, look: Callable[[], object], running: Callable[[], int]) -> None:
    """Wait until nothing runs in the old release any more, `watch` seconds at least and the router's drain_timeout at most.

    Args:
        look: raises if the new release has broken.
        running: returns how much runs in the old one, and raises as `look` does; asked less often, for it costs more.
    """
    limit = r.release.app.router.drain_timeout
    began, next_question, told = r.clock(), 0.0, False
    while True:
        look()
        elapsed = r.clock() - began
        if elapsed >= next_question:
            next_question = elapsed + POLL
            busy = running()
            if elapsed >= watch and (not busy or elapsed >= limit):
                break
            if busy and elapsed >= watch and not told:
                r.output.line(f"draining the old release: {busy} still running, at most {limit:.0f} s more")
                told = True
        time.sleep(TICK)
    if busy:
        r.output.line(f"{busy} were still running after {limit:.0f} s and are cut")
