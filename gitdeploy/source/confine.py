"""What the process that reads repositories gives up before it looks at one: rights, memory, time, and other processes.

Linux only, as the engine is. prctl(2), setrlimit(2), credentials(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import time

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38

MEMORY = 512 << 20
"""Bytes of memory of its own; an index that is mapped does not count."""

FILES = 4096
"""Open files: two for each pack."""

_libc = ctypes.CDLL(None, use_errno=True)


class CannotChange(Exception):
    """The process cannot become the user that a repository belongs to."""


def confine(parent: int) -> None:
    """Limit this process for good; it ends when `parent` does. Takes that one's process id."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)
    end_with(parent)
    _limit(resource.RLIMIT_DATA, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, FILES)


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; a change of user takes that back."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def become(uid: int, gid: int) -> None:
    """Go on as this user, without other groups, unable to start a process. Raises CannotChange."""
    parent = os.getppid()
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
    except OSError as error:
        raise CannotChange(error.strerror) from None
    end_with(parent)
    _limit(resource.RLIMIT_NPROC, 0)


def allow(seconds: int, file_size: int) -> None:
    """Set what the next request may take.

    Args:
        seconds: of processor time; then the kernel kills this process with SIGXCPU.
        file_size: bytes of a temporary file.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = int(time.process_time()) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (_least(used + seconds, hard), hard))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_least(file_size, hard), hard))


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = _least(most, hard)
    resource.setrlimit(what, (most, most))


def _least(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError):
        _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)
