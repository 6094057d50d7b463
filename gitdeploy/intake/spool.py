"""The spool: pushes that wait, one file each, and the kernel locks that keep one worker on one app.

A record appears by rename and disappears by unlink, both made durable, so a crash leaves it whole or absent. It stays until
the end of its deployment is in state.db: what was accepted is tried again by the next run. Locks are flock(2): they end with
their process, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.errors import UnfitError
from gitdeploy.intake.cancelling import CancelRequests
from gitdeploy.intake.consoles import Consoles
from gitdeploy.intake.push import MAX_RECORD, BadRecordError, PushRecord, parse_record, render_record
from gitdeploy.intake.shareddirectory import SharedDirectory
from gitdeploy.locks import lock_within

STALE_AFTER = 24 * 3600.0
"""Seconds after which temporary files and FIFOs of dead hooks are swept."""

MAX_NEW = 500
"""Files of the spool that one look reads: whoever may write there can write any number of them."""

MAX_KEPT = 5000
"""Files of the spool that are known at a time; the others are read when these have gone."""

_NO_RECORD = (errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EACCES, errno.EPERM)
"""What opening something else than a record of ours says; other errors (too many open files) pass."""

_LEFT_BY_HOOKS = re.compile(r"\.?[0-9]{1,12}-[A-Za-z0-9]{1,64}\.(tmp|console)")


@dataclass(frozen=True)
class _Read:
    """What a file in the spool turned out to be: a record, or why it is none."""

    inode: int
    record: PushRecord | None
    problem: str = ""


class Spool:
    """The directory of waiting pushes.

    Attributes:
        directory: of the records; in agent mode the Git server's user owns it.
        shared: the same, to be opened.
        locks: HOME/locks, which is gitdeploy's alone.
        consoles: those that this process or its parent holds open.
        cancels: requests to stop a deployment.
        on_done: called after a record has gone.
        more: whether the last look at the records has not read them all.
    """

    def __init__(self, home: Path, directory: Path | None = None, base: Path | None = None) -> None:
        """`directory`: where the records are, HOME/spool if left out; `base`: the first directory above that is trusted."""
        self.directory = directory or home / "spool"
        self.shared = SharedDirectory(base or self.directory.parent, self.directory)
        self.locks = home / "locks"
        self.consoles = Consoles(self.shared)
        self.cancels = CancelRequests(self.locks)
        self.more = False
        self._read_before: dict[str, _Read] = {}
        self._reading = threading.Lock()
        self.on_done: Callable[[], None] = lambda: None

    def pending(self) -> tuple[list[PushRecord], dict[str, str]]:
        """Return the waiting records, oldest first, and for each file that is none: its name and why.

        A file is read once. When there are very many new ones, a look reads some of them, in no order that their writer
        could choose, and sets `more`.

        Raises:
            UnfitError: the spool cannot be read.
        """
        with self._reading, self.shared.opened() as directory:
            there = self._list(directory)
            self._read_before = {name: read for name, read in self._read_before.items() if there.get(name) == read.inode}
            new = [name for name in there if name not in self._read_before]
            room = min(MAX_NEW, MAX_KEPT - len(self._read_before))
            self.more = len(new) > room > 0
            for name in _some(new, max(0, room)) if len(new) > room else new:
                read = self._examine(directory, name, there[name])
                if read:
                    self._read_before[name] = read
            records = [read.record for read in self._read_before.values() if read.record]
            bad = {name: read.problem for name, read in self._read_before.items() if not read.record}
        return sorted(records, key=lambda record: record.order), bad

    def names(self) -> frozenset[str]:
        """Return names of the waiting records, without ".push": cheap enough to ask often."""
        with self.shared.opened() as directory:
            return frozenset(name.removesuffix(".push") for name in self._list(directory))

    def _list(self, directory: int) -> dict[str, int]:
        """Return names of the files that may be records, with their inodes."""
        try:
            with os.scandir(directory) as entries:
                return {entry.name: entry.inode() for entry in entries if entry.name.endswith(".push") and entry.name[0] != "."}
        except OSError as error:
            reason = f"the spool {self.directory} cannot be read: {error.strerror}"
            raise UnfitError(reason, "run `gitdeploy doctor`") from error

    def _examine(self, directory: int, name: str, inode: int) -> _Read | None:
        """Read one file; None if it has gone meanwhile, or is to be tried again."""
        try:
            return _Read(inode, parse_record(name.removesuffix(".push"), self._read(directory, name)))
        except OSError as error:
            return _Read(inode, None, str(error.strerror)) if error.errno in _NO_RECORD else None
        except BadRecordError as error:
            return _Read(inode, None, str(error))
        except Exception as error:  # whatever a file can bring up concerns that file alone
            return _Read(inode, None, f"it cannot be read ({type(error).__name__})")

    def _read(self, directory: int, name: str) -> bytes:
        """Read a regular file only: a link or FIFO of that name is somebody's trick."""
        with self._open(directory, name) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadRecordError("not a regular file")
            return file.read(MAX_RECORD + 1)

    def _open(self, directory: int, name: str) -> io.FileIO:
        """Open what has that name, without following a link or waiting for anybody."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return io.FileIO(name, opener=lambda path, _: os.open(path, flags, dir_fd=directory))
        except IsADirectoryError as error:
            raise BadRecordError("not a regular file") from error

    def add(self, record: PushRecord) -> Path:
        """Write a record durably; return its path."""
        name, temporary = f"{record.name}.push", f".{record.name}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.shared.opened() as directory:
            with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as file:
                file.write(render_record(record))
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            os.fsync(directory)
        return self.directory / name

    def done(self, name: str) -> None:
        """Remove a record whose deployment has ended and is recorded; do nothing if it is gone."""
        with self.shared.opened() as directory:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{name}.push", dir_fd=directory)
            os.fsync(directory)
        self.consoles.drop(name)
        self.on_done()

    def set_aside(self, file: str) -> None:
        """Rename a file that is no record to .FILE.bad, for a person to look at."""
        with self.shared.opened() as directory:
            try:
                os.rename(file, f".{file}.bad", src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:  # the name is taken by a directory, or too long
                os.rename(file, f".{os.urandom(8).hex()}.bad", src_dir_fd=directory, dst_dir_fd=directory)

    def persist(self) -> None:
        """Make the waiting records durable: the hook's shell has no fsync."""
        with self.shared.opened() as directory:
            for name in self._list(directory):
                with contextlib.suppress(OSError, BadRecordError), self._open(directory, name) as file:
                    os.fsync(file.fileno())  # a FIFO has nothing to make durable
            os.fsync(directory)

    def sweep(self) -> list[str]:
        """Remove what hooks that died long ago left: temporary files and FIFOs.

        Returns:
            names of what is left, for nothing that gitdeploy writes is of that kind: directories with something in them.
        """
        limit = time.time() - STALE_AFTER
        left: list[str] = []
        with self.shared.opened() as directory:
            with os.scandir(directory) as entries:
                names = [entry.name for entry in entries if _LEFT_BY_HOOKS.fullmatch(entry.name)]
            for name in names:
                try:
                    facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    if facts.st_mtime >= limit:
                        continue
                    if stat.S_ISDIR(facts.st_mode):
                        os.rmdir(name, dir_fd=directory)
                    else:
                        os.unlink(name, dir_fd=directory)
                except FileNotFoundError:
                    continue
                except OSError:
                    left.append(name)
        return left

    def _lock_path(self, name: str, suffix: str) -> Path:
        path = self.locks / f"{name}{suffix}"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    @contextmanager
    def lock(self, name: str, patience: float = 0.0) -> Iterator[bool]:
        """Hold the kernel lock `name` (an app, or a build slot) inside the block; yield False if another holds it.

        `patience`: seconds to try, for whoever must not be turned away by one who only looks (`locked`).
        """
        fd = os.open(self._lock_path(name, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield lock_within(fd, patience)
        finally:
            os.close(fd)

    def drop_lock(self, name: str) -> None:
        """Remove the file of a lock that nobody takes again; whoever holds it goes on holding it."""
        (self.locks / f"{name}.lock").unlink(missing_ok=True)

    def locked(self, name: str) -> bool:
        """Return whether some process holds the lock now. Makes no file of one that nobody has taken."""
        try:
            fd = os.open(self._lock_path(name, ".lock"), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not lock_within(fd, 0.0)
        finally:
            os.close(fd)


def new_name(now: float) -> str:
    """Return a fresh record name for this second (seconds since the epoch)."""
    return f"{int(now)}-{os.urandom(6).hex()}"


def _some(names: list[str], number: int) -> list[str]:
    """Return so many of the names, by chance."""
    import random  # noqa: PLC0415 - it takes a moment, and hardly any spool is as full as that

    return random.sample(names, number)
