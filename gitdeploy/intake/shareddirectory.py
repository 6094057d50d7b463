"""The spool's directory, which another user may own: everything in it is reached through a descriptor of it.

In agent mode the Git server's user can put a symbolic link in the place of the spool, or of any directory above it, at any
time. So each operation opens it anew, one component at a time, and follows no link of another user.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.errors import UnfitError
from gitdeploy.gitserver.ownedfiles import open_directory
from gitdeploy.terminal.relay import open_fifo


@dataclass(frozen=True)
class SharedDirectory:
    """A directory below one that is trusted.

    Attributes:
        base: nobody else can replace it, or a directory above it.
        path: `base` itself, or below it.
    """

    base: Path
    path: Path

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Yield a descriptor of the directory.

        Raises:
            UnfitError: it is missing, no directory, or behind a link that another user made.
        """
        try:
            fd = open_directory(self.base, self.path)
        except UnfitError as error:
            raise UnfitError(f"the spool cannot be read: {error.reason}", error.hint) from error
        except OSError as error:
            reason = f"the spool {self.path} cannot be read: {error.strerror}"
            raise UnfitError(reason, "run `gitdeploy doctor`") from error
        try:
            yield fd
        finally:
            os.close(fd)

    def fifo(self, name: str) -> int:
        """Return a descriptor to write to the FIFO of that name, without waiting; -1 if nobody reads it or there is none."""
        with contextlib.suppress(UnfitError), self.opened() as directory:
            return open_fifo(name, directory)
        return -1

    def has(self, name: str) -> bool:
        """Return whether there is anything of that name."""
        with contextlib.suppress(UnfitError, OSError), self.opened() as directory:
            os.stat(name, dir_fd=directory, follow_symlinks=False)
            return True
        return False
