"""What an image is built from: files, and the ways in which a builder takes them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

FileEntry = tuple[int, bytes, int, int, bytes]
"""A file to build from: type and permissions as stat(2) has them, path, bytes, seconds since the epoch, a symlink's target."""


class Files(Protocol):
    """What there is to build from, or a part of it."""

    def entries(self) -> Generator[FileEntry]:
        """Yield what there is: directories before what is in them, the names in each in the order of their bytes."""

    def contents(self, numbers: Sequence[int]) -> Generator[tuple[int, bytes]]:
        """Yield files by their places among the entries: place and bytes, as often as it takes, b"" at the end of each."""


class BuildContext(Protocol):
    """What an image is built from; every method may raise a GitdeployError, also while its result is gone through.

    Attributes:
        content: of the Dockerfile.
    """

    @property
    def content(self) -> bytes: ...

    def tar(self, *, hide: bool = False) -> Iterator[bytes]:
        """Return all of it as a tar stream, whose first entry is the Dockerfile, with a plain header.

        Args:
            hide: whether a Dockerfile that is no part of what is built from is named in the stream's .dockerignore, for a
                builder that removes it by that.
        """

    def files_for(
        self, follow: Sequence[str], include: Sequence[str], exclude: Sequence[str], cancelled: Callable[[], bool]
    ) -> Files:
        """Return what an engine's patterns name, without any all of it; `cancelled` ends any waiting for it.

        Args:
            follow: paths and patterns; what symlinks among them lead to is wanted, too.
            include: patterns.
            exclude: patterns as in .dockerignore.
        """
