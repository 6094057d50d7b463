"""Leading all requests to what is to serve again after a crash."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from gitdeploy.engine.types import Output
from gitdeploy.targets.router.haproxy import TICK
from gitdeploy.targets.router.haproxycfg import Backend
from gitdeploy.targets.router.switch import Switch
from gitdeploy.targets.undo import Undo

TRY = 5.0
"""Seconds for HAProxy's first checks: each has 0.5 s to connect."""


def lead_to(switch: Switch, servers: Sequence[Backend], clock: Callable[[], float], output: Output) -> None:
    """Send all requests to these servers once the router reaches them: until then others answer, if there are any.

    Args:
        clock: seconds, monotonic.

    Raises:
        StageFailed: the router could not be brought to it; what it did before, it does again.
    """
    each = Counter(server.alias for server in servers)
    undo = Undo(output)
    undo.add("bringing the router back to what it did", switch.revert, traffic=True)
    with undo.on_failure():
        switch.introduce(servers)
        end = clock() + TRY
        while switch.reached(each) < len(servers) and clock() < end:
            time.sleep(TICK)
        switch.commit(servers)
        switch.keep(each)
