"""Files in directories that belong to somebody else: written whole or not at all, with the right owner, through no trap.

The installer and the agent may run as root, while the Git server's user owns the data directory and could swap any part of a
path for a symbolic link to somewhere else. So paths are walked one component at a time, each opened without following links;
only a link that root or this process's own user made is followed. All work below the walk is done on descriptors.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitdeploy.errors import UnfitError
from gitdeploy.locks import lock_within

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

MAX_LINKS = 40
"""As Linux has it (path_resolution(7))."""

LOCK_PATIENCE = 30.0
"""Seconds for a lock that another enrolment holds for a moment."""


def open_directory(base: Path, path: Path) -> int:
    """Open a directory below `base`; return its descriptor.

    Args:
        base: trusted: links in it are followed, whoever made them.
        path: the directory, `base` itself or below it.

    Raises:
        UnfitError: a component is missing, no directory, or a link that another user made.
    """
    return _walk(base, path, _DIRECTORY)


def open_file(base: Path, path: Path) -> int:
    """Return the same for a file: opens a regular one, without waiting for what is none. Raises UnfitError."""
    fd = _walk(base, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnfitError(f"{path} cannot be opened: expected a regular file", "check the path and its owner")
    return fd


def _walk(base: Path, path: Path, last: int) -> int:
    """Open `path`, its last component with these flags."""
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    parts = deque(path.relative_to(base).parts)
    links = 0
    try:
        while parts:
            part = parts.popleft()
            entry = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            try:
                facts = os.fstat(entry)
                if stat.S_ISLNK(facts.st_mode):
                    links += 1
                    target = _trusted_target(entry, facts, path, part, links)
                    parts.extendleft(reversed([p for p in target.split("/") if p]))
                    start = "/" if target.startswith("/") else "."
                    fd = _replace(fd, os.open(start, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd))
                else:
                    fd = _replace(fd, os.open(part, _DIRECTORY if parts else last, dir_fd=fd))
            finally:
                os.close(entry)
    except OSError as error:
        os.close(fd)
        raise UnfitError(f"{path} cannot be opened: {error.strerror}", "check the path and its owner") from error
    except UnfitError:
        os.close(fd)
        raise
    return fd


def _replace(old: int, new: int) -> int:
    os.close(old)
    return new


def _trusted_target(entry: int, facts: os.stat_result, path: Path, part: str, links: int) -> str:
    """Return where a symbolic link points, if whoever made it could write there anyway."""
    if facts.st_uid not in (0, os.geteuid()):
        reason = f"{path}: {part} is a symbolic link made by user {facts.st_uid}, which may lead anywhere"
        raise UnfitError(reason, "replace the link by a directory or a bind mount, or make root its owner: chown -h root LINK")
    if links > MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return os.readlink("", dir_fd=entry)


@contextmanager
def locked(directory: int) -> Iterator[None]:
    """Hold the kernel lock of a directory inside the block; wait for it, but not for ever: its owner may hold it.

    Raises:
        UnfitError: somebody else has held it for LOCK_PATIENCE seconds.
    """
    if not lock_within(directory, LOCK_PATIENCE):
        where = Path(f"/proc/self/fd/{directory}").readlink()
        reason = f"{where} is locked by another process for more than {LOCK_PATIENCE:.0f} s"
        raise UnfitError(reason, f"see who holds it: fuser -v {where}")
    try:
        yield
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)


def make_directory(parent: int, name: str, mode: int, owner: os.stat_result) -> int:
    """Open the directory `name` in `parent`, made with this mode and owner if there is none; return its descriptor.

    Raises:
        OSError: there is something else of that name, a symbolic link included.
    """
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        _own(fd, mode, owner)
        return fd
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


@contextmanager
def make_directories(parent: int, path: str, owner: os.stat_result) -> Iterator[int]:
    """Yield the directory at a relative path below `parent`, made with its parents, mode 0755, where there is none."""
    fd = os.dup(parent)
    try:
        for name in path.split("/"):
            fd = _replace(fd, make_directory(fd, name, 0o755, owner))
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_below(parent: int, path: str) -> Iterator[int]:
    """Yield the directory at a relative path below `parent`, reached through no link. Raises OSError."""
    fd = os.dup(parent)
    try:
        for name in path.split("/"):
            fd = _replace(fd, os.open(name, _DIRECTORY, dir_fd=fd))
        yield fd
    finally:
        os.close(fd)


def read_file(directory: int, name: str, limit: int) -> bytes | None:
    """Return the first `limit` bytes of a regular file, None if there is no file of that name or it is anything else."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(limit)


def write_file(directory: int, name: str, data: bytes, *, mode: int, owner: os.stat_result, mtime_ns: int = 0) -> bool:
    """Put a file in place by a rename, durably, unless it is there already just so.

    Args:
        directory: descriptor of its directory.
        owner: whose user and group become the file's, where this process may give files away.
        mtime_ns: its modification time, 0 for now.

    Returns:
        whether anything was changed.
    """
    if read_file(directory, name, len(data) + 1) == data:
        facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        owned = os.geteuid() != 0 or (facts.st_uid, facts.st_gid) == (owner.st_uid, owner.st_gid)
        if owned and stat.S_IMODE(facts.st_mode) == mode and mtime_ns in (0, facts.st_mtime_ns):
            return False
    temporary = f".{name}.{os.urandom(6).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            _own(fd, mode, owner)
            if mtime_ns:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            os.fsync(fd)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    os.fsync(directory)
    return True


def _own(fd: int, mode: int, owner: os.stat_result) -> None:
    """Mode last: giving a file away drops its set-id bits, and the umask has no say in fchmod."""
    if os.geteuid() == 0:
        os.fchown(fd, owner.st_uid, owner.st_gid)
    os.fchmod(fd, mode)
