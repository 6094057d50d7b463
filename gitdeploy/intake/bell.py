"""The bell: a FIFO in the spool to which hooks write a byte, so that the worker looks at the spool at once."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import stat

from gitdeploy.errors import UnfitError
from gitdeploy.intake.shareddirectory import SharedDirectory

NAME = "bell"

DRAUGHTS = 20
"""How often the bell is read before the work goes on: somebody may ring as fast as it is heard."""


class Ear:
    """Hears the bell, signals and child processes.

    Attributes:
        fd: a signal writes here (signal.set_wakeup_fd).
    """

    def __init__(self) -> None:
        self._read, self.fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._bell = -1

    def open_bell(self, spool: SharedDirectory) -> None:
        """Listen to the bell from now on. Raises UnfitError, OSError."""
        self._bell = open_bell(spool)

    def wake(self) -> None:
        """Have `wait` return; in a child process, that of its parent."""
        with contextlib.suppress(OSError):
            os.write(self.fd, b".")

    def wait(self, timeout: float | None) -> None:
        """Wait for the bell, a signal or `wake`, for so many seconds at most."""
        readable, _, _ = select.select([self._read, *([self._bell] if self._bell >= 0 else [])], [], [], timeout)
        for fd in readable:
            with contextlib.suppress(BlockingIOError):
                for _ in range(DRAUGHTS):
                    if not os.read(fd, 65536):
                        break


def open_bell(spool: SharedDirectory) -> int:
    """Return a descriptor of the FIFO in this directory, open for reading and writing so that hooks never block.

    It belongs to the spool's owner, whose hooks are to open it. Anything else in its place makes way: a plain file there would
    always be readable and keep this process busy. A directory is renamed, never emptied.

    Raises:
        UnfitError, OSError: it cannot be made. Pushes are found without it, a moment later.
    """
    with spool.opened() as directory:
        fd = _open_there(directory)
        if fd < 0:
            _make_way(directory)
            os.mkfifo(NAME, 0o600, dir_fd=directory)
            fd = _open_there(directory)
            if fd < 0:
                reason = f"{spool.path / NAME} was replaced while it was made"
                raise UnfitError(reason, "see who else writes to that directory")
        if os.geteuid() == 0:  # on the descriptor: by now that name may be another file's
            owner = os.fstat(directory)
            os.fchown(fd, owner.st_uid, owner.st_gid)
    return fd


def ring(spool: SharedDirectory) -> bool:
    """Tell a watching worker that there is work; return False if none watches."""
    fd = spool.fifo(NAME)
    if fd < 0:
        return False
    try:
        os.write(fd, b"\n")
    except BlockingIOError:
        pass  # full: it has been rung often enough
    except OSError:  # whoever watched has gone meanwhile
        return False
    finally:
        os.close(fd)
    return True


def _make_way(directory: int) -> None:
    try:
        os.unlink(NAME, dir_fd=directory)
    except FileNotFoundError:
        pass
    except OSError:  # a directory
        os.rename(NAME, f".bell-{secrets.token_hex(8)}.bad", src_dir_fd=directory, dst_dir_fd=directory)


def _open_there(directory: int) -> int:
    with contextlib.suppress(OSError):
        fd = os.open(NAME, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
    return -1
