"""Files for one user's eyes, 0600 in directories of 0700: read with a limit, replaced as a whole, put aside when damaged."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitdeploy.engine.types import Cancel
from gitdeploy.errors import Cancelled, UnfitError
from gitdeploy.locks import lock_within

_MAX_SIZE = 2_000_000


class PrivateFiles:
    """A directory of private files, and its locks.

    Attributes:
        directory: where it is; made when the first file is written.
    """

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        """Args: say: is told, in a line, of each file that had to be put aside."""
        self.directory = directory
        self._say = say

    def names(self, folder: str, suffix: str) -> list[str]:
        """Return the paths within the directory of a folder's files that end so."""
        try:
            names = [path.name for path in (self.directory / folder).iterdir()]
        except FileNotFoundError:
            return []
        return sorted(f"{folder}/{name}" for name in names if name.endswith(suffix))

    def read(self, name: str) -> bytes:
        """Return what a file holds, b"" if there is none. What is no regular file is put aside."""
        path = self.directory / name
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                self.put_aside(name, "no regular file")
                return b""
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                return file.read(_MAX_SIZE)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise UnfitError(
                f"{path}: expected a file that can be read: {error.strerror}", "let gitdeploy's user own it"
            ) from None

    def write(self, name: str, content: bytes) -> None:
        """Put a whole new file in the place of the one before; a crash leaves one of the two. Needs the lock "lock"."""
        path = self.directory / name
        new = path.with_name(".new")
        try:
            with suppress(FileNotFoundError):
                new.unlink()  # of a process that was killed
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
            _settle(path.parent)
        except OSError as error:
            raise UnfitError(
                f"{path}: cannot be written: {error.strerror}", f"df -h {path.parent}; ls -ld {path.parent}"
            ) from None

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        path = self.directory / name
        with suppress(FileNotFoundError):
            path.unlink()
            _settle(path.parent)

    def put_aside(self, name: str, reason: str) -> None:
        """Move a damaged file out of the way, and say so."""
        path = self.directory / name
        with suppress(FileNotFoundError):  # another process was faster
            path.rename(f"{path}.damaged")
            self._say(f"{path}: damaged ({reason}); put aside as {path.name}.damaged")

    @contextmanager
    def locked(self, name: str, seconds: float, cancel: Cancel | None = None) -> Iterator[None]:
        """Hold a lock of the directory; raise UnfitError if another process does so for longer than these seconds."""
        path = self.directory / name
        for directory in (self.directory, self.directory / "certificates", self.directory / "setbacks"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            until = time.monotonic() + seconds
            while not lock_within(fd, min(0.2, seconds)):
                if cancel and cancel.is_set():
                    raise Cancelled(f"stopped while another process of gitdeploy held {path}")
                if time.monotonic() > until:
                    hint = f"wait for it; `fuser {path}` tells which it is"
                    raise UnfitError(f"{path}: another process of gitdeploy has held it for {seconds:g} s", hint)
            yield
        finally:
            os.close(fd)


def _settle(directory: Path) -> None:
    """Make sure that a name in the directory outlives a crash of the machine."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
