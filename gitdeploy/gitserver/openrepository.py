"""A bare repository's directory, opened and locked to be written: the few steps that enrolling and taking out share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.errors import UnfitError
from gitdeploy.gitserver.ownedfiles import locked, open_directory


@contextmanager
def opened_repository(data: Path, repository: Path) -> Iterator[int]:
    """Yield the directory of a bare repository, locked; what fails in it is said with what to do. Raises UnfitError."""
    base = data if repository.is_relative_to(data) else repository
    try:
        directory = open_directory(base, repository)
        try:
            if not exists(directory, "objects"):
                raise UnfitError(f"{repository} is no bare git repository: it has no directory objects", "check the path")
            with locked(directory):
                yield directory
        finally:
            os.close(directory)
    except OSError as error:
        where = f"{repository}/{error.filename}" if error.filename else repository
        hint = "run this as the owner of the repository, or as root; a symbolic link in its place must be replaced"
        raise UnfitError(f"{where}: {error.strerror}", hint) from error


def exists(directory: int, name: str) -> bool:
    """Return whether anything has this name in a directory, a link included."""
    try:
        status(directory, name)
    except FileNotFoundError:
        return False
    return True


def status(directory: int, name: str) -> os.stat_result:
    """Return the facts of what has this name in a directory, a link not followed. Raises OSError."""
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def unlink(directory: int, name: str) -> bool:
    """Remove a name from a directory; return whether it was there."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    return True
