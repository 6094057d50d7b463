"""Directories and files of a repository, opened so that whatever lies in their place leads nowhere else and holds nobody up.

Who has broken into the Git server can put a link, a pipe or a device where git keeps a file. So every component is opened
without following links, a file must be a regular one and is read up to a limit, and opening never waits.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gitdeploy.errors import StageFailed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MISSING = (errno.ENOENT, errno.ENAMETOOLONG)
_HINT = "replace it by what git puts there, or restore the repository from a backup"
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Odd(StageFailed):
    """Something else than a regular file, or than a directory, lies there.

    Attributes:
        kind: what it is, "a symbolic link".
    """

    def __init__(self, path: str, expected: str, kind: str) -> None:
        super().__init__(f"{path} is {kind} where {expected} is expected: it is not read", _HINT)
        self.kind = kind


class Directory:
    """An open directory; its methods take names in it, or paths below it whose components are all looked at.

    Attributes:
        path: for messages.
        fd: its descriptor.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def below(cls, root: Path, path: Path) -> Directory | None:
        """Open `path`, which is `root` or below it: links in `root` are followed, others are not; None if it is not there.

        Raises:
            StageFailed: it leads out of `root`, a component is no directory, or it may not be opened.
        """
        if not path.is_relative_to(root) or ".." in path.parts:
            raise StageFailed(f"{path} is not below {root}: it is not read", _HINT)
        try:
            top = cls(root, os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StageFailed(f"{root} cannot be opened: {error.strerror}", "the worker must be able to enter it") from None
        return top.into(path.relative_to(root).as_posix()) if path != root else top

    def close(self) -> None:
        """Close it."""
        os.close(self.fd)

    def into(self, below: str) -> Directory | None:
        """Return the directory at a path below this one, which is closed; None if it is not there. Raises StageFailed."""
        here: Directory | None = self
        for name in below.split("/"):
            assert here
            try:
                inner = here.directory(name)
            finally:
                here.close()
            here = inner
            if here is None:
                break
        return here

    def directory(self, name: str) -> Directory | None:
        """Open a directory in this one; None if it is not there. Raises StageFailed."""
        path = self.path / name
        try:
            return Directory(path, os.open(name, _DIRECTORY, dir_fd=self.fd))
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise self._failed(name, error, "a directory") from None

    def exists(self, name: str) -> bool:
        """Return whether anything of that name is there, a link to nothing included."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)
        return True

    def names(self) -> list[str]:
        """Return the names in it, in no order. Raises StageFailed."""
        try:
            return os.listdir(self.fd)  # noqa: PTH208 (of a descriptor)
        except OSError as error:
            raise StageFailed(f"{self.path} cannot be listed: {error.strerror}", _HINT) from None

    def open(self, name: str) -> int | None:
        """Open a regular file in it; return its descriptor, None if it is not there. Raises StageFailed."""
        *above, last = name.split("/")
        here = self
        try:
            for part in above:
                inner = here.directory(part)
                if here is not self:
                    here.close()
                if inner is None:
                    here = self
                    return None
                here = inner
            return here._open_here(last)
        finally:
            if here is not self:
                here.close()

    def _open_here(self, name: str) -> int | None:
        try:
            fd = os.open(name, _FILE, dir_fd=self.fd)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise self._failed(name, error, "a regular file") from None
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            os.close(fd)
            raise Odd(str(self.path / name), "a regular file", kind_of(mode))
        return fd

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the content of a regular file of at most `limit` bytes; None if it is not there. Raises StageFailed."""
        fd = self.open(name)
        if fd is None:
            return None
        try:
            data = _read(fd, limit + 1)
        except OSError as error:
            raise self._failed(name, error, "a regular file") from None
        finally:
            os.close(fd)
        if len(data) > limit:
            raise StageFailed(f"{self.path / name} has more than {limit:,} bytes, which is not taken", _HINT)
        return data

    def _failed(self, name: str, error: OSError, expected: str) -> StageFailed:
        """Return the error for a name that could not be opened as what was expected."""
        path = self.path / name
        try:
            mode = os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode
        except OSError:
            mode = 0
        right = stat.S_ISDIR(mode) if expected == "a directory" else stat.S_ISREG(mode)
        if mode and not right:
            return Odd(str(path), expected, kind_of(mode))
        hint = "its files must be readable by the owner of the repository, or by the user of the worker"
        return StageFailed(f"{path} cannot be opened: {error.strerror}", hint)


def kind_of(mode: int) -> str:
    """Return what an `st_mode` stands for, for a message."""
    return next((word for test, word in _KINDS if test(mode)), "a regular file")


def _read(fd: int, limit: int) -> bytes:
    parts: list[bytes] = []
    while limit > 0 and (part := os.read(fd, min(limit, 1 << 20))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)
