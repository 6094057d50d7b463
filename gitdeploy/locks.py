"""Kernel locks, flock(2), which end with the process that holds them; and waiting for one, which ends too."""

from __future__ import annotations

import errno
import fcntl
import time

INTERVAL = 0.01
"""Seconds between two tries: the kernel tells nobody, within a limit of time, that a lock is free."""


def lock_within(fd: int, seconds: float) -> bool:
    """Take the lock of an open file or directory; return whether it was had within so many seconds, 0 for one try.

    It is held until the descriptor is closed. Raises OSError for what cannot be locked at all.
    """
    until = time.monotonic() + seconds
    while not (got := _try_lock(fd)) and time.monotonic() < until:
        time.sleep(INTERVAL)
    return got


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True
