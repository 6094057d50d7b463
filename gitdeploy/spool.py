"""The spool: pushes that wait, one file each, and the kernel locks that keep one worker on one app.

A record appears by rename and disappears by unlink, both made durable, so a crash leaves it whole or absent. It stays until
the end of its deployment is in state.db: what was accepted is tried again by the next run. Locks are flock(2): they end with
their process, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.consoles import Consoles
from gitdeploy.errors import UnfitError
from gitdeploy.push import MAX_RECORD, BadRecordError, PushRecord, parse_record, render_record

STALE_AFTER = 24 * 3600.0
"""Seconds after which temporary files and FIFOs of dead hooks are swept."""

_LEFT_BY_HOOKS = re.compile(r"\.?[0-9]{1,12}-[A-Za-z0-9]{1,64}\.(tmp|console)")


class Spool:
    """The directory of waiting pushes.

    Attributes:
        directory: of the records; in agent mode the Git server's user owns it.
        locks: HOME/locks, which is gitdeploy's alone.
        consoles: those that this process or its parent holds open.
        on_done: called after a record has gone.
    """

    def __init__(self, home: Path, directory: Path | None = None) -> None:
        """`directory`: where the records are, HOME/spool if left out."""
        self.directory = directory or home / "spool"
        self.locks = home / "locks"
        self.consoles = Consoles(self.directory)
        self.on_done: Callable[[], None] = lambda: None

    def pending(self) -> tuple[list[PushRecord], dict[str, str]]:
        """All waiting records, oldest first, and for each file that is none: its name and why.

        Raises:
            UnfitError: the spool cannot be read.
        """
        records: list[PushRecord] = []
        bad: dict[str, str] = {}
        for name in self._names():
            try:
                records.append(parse_record(name.removesuffix(".push"), self._read(name)))
            except FileNotFoundError:
                continue  # another worker was done with it meanwhile
            except (BadRecordError, OSError) as error:
                bad[name] = str(error)
        return sorted(records, key=lambda record: record.order), bad

    def names(self) -> frozenset[str]:
        """Names of the waiting records, without ".push": cheap enough to ask often."""
        return frozenset(name.removesuffix(".push") for name in self._names())

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in os.scandir(self.directory) if entry.name.endswith(".push") and entry.name[0] != "."]
        except OSError as error:
            reason = f"the spool {self.directory} cannot be read: {error.strerror}"
            raise UnfitError(reason, "run `gitdeploy doctor`") from error

    def _read(self, name: str) -> bytes:
        """Reads a regular file only: a link or FIFO of that name is somebody's trick."""
        fd = os.open(self.directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise BadRecordError("not a regular file")
            with os.fdopen(fd, "rb", closefd=False) as file:
                return file.read(MAX_RECORD + 1)
        finally:
            os.close(fd)

    def add(self, record: PushRecord) -> Path:
        """Writes a record durably; returns its path."""
        path = self.directory / f"{record.name}.push"
        temporary = self.directory / f".{record.name}.tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(render_record(record))
            file.flush()
            os.fsync(fd)
        temporary.rename(path)
        self._sync()
        return path

    def done(self, name: str) -> None:
        """Removes a record whose deployment has ended and is recorded; does nothing if it is gone."""
        (self.directory / f"{name}.push").unlink(missing_ok=True)
        self._sync()
        self.consoles.drop(name)
        self.on_done()

    def set_aside(self, file: str) -> None:
        """Renames a file that is no record to FILE.bad, for a person to look at."""
        source = self.directory / file
        source.rename(source.with_name(f".{file}.bad"))

    def persist(self) -> None:
        """Makes the waiting records durable: the hook's shell has no fsync."""
        for name in self._names():
            try:
                fd = os.open(self.directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue
            with contextlib.suppress(OSError):  # a FIFO has nothing to make durable
                os.fsync(fd)
            os.close(fd)
        self._sync()

    def sweep(self) -> None:
        """Removes what hooks that died long ago left: temporary files and FIFOs."""
        limit = time.time() - STALE_AFTER
        for entry in os.scandir(self.directory):
            if _LEFT_BY_HOOKS.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_mtime < limit:
                Path(entry.path).unlink(missing_ok=True)

    def _sync(self) -> None:
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # A request to cancel is a file, not a signal: the worker may run in another container than the command line.
    def ask_cancel(self, app: str) -> None:
        """Asks the worker of this app to stop its running deployment."""
        path = self._lock_path(app, ".cancel")
        path.touch(mode=0o600)

    def take_cancel(self, app: str) -> bool:
        """Whether a cancel was asked for; forgets the request."""
        try:
            self._lock_path(app, ".cancel").unlink()
        except FileNotFoundError:
            return False
        return True

    def _lock_path(self, name: str, suffix: str) -> Path:
        path = self.locks / f"{name}{suffix}"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    @contextmanager
    def lock(self, name: str, patience: float = 0.0) -> Iterator[bool]:
        """Holds the kernel lock `name` (an app, or a build slot) inside the block; yields False if another holds it.

        `patience`: seconds to try, for whoever must not be turned away by one who only looks (`locked`).
        """
        fd = os.open(self._lock_path(name, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            until = time.monotonic() + patience
            while not (got := _try_lock(fd)) and time.monotonic() < until:
                time.sleep(0.01)
            yield got
        finally:
            os.close(fd)

    def locked(self, name: str) -> bool:
        """Whether some process holds the lock now."""
        with self.lock(name) as got:
            return not got


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True


def new_name(now: float) -> str:
    """A fresh record name for this second (seconds since the epoch)."""
    return f"{int(now)}-{secrets.token_hex(6)}"
