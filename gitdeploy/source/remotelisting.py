"""The list of what is in a build context, as it arrives from the process that reads the repository.

That process may be taken over, and who gets the list makes files of it as root. So every path is put together here, from names
that are checked, in the only order that BuildKit takes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from gitdeploy.errors import StageFailed
from gitdeploy.source.bounds import (
    DIRECTORY,
    LATEST,
    MAX_ENTRIES,
    MAX_LINK,
    MAX_NAME,
    MAX_PATH,
    MAX_SIZE,
    MODES,
    RECORD,
    SYMLINK,
)
from gitdeploy.source.frames import BadFrame, nonsense

if TYPE_CHECKING:
    from gitdeploy.source.remotecontext import RemoteContext

MOST_BYTES = 1 << 30
"""Of a list: more than MAX_ENTRIES names of a usual length."""

NO_FILE = (1 << 64) - 1

FOLDER, LINK = MODES[DIRECTORY], MODES[SYMLINK]
REGULAR = frozenset(MODES.values()) - {FOLDER, LINK}

Entry = tuple[int, bytes, int, int, bytes]
"""Type and permissions as stat(2) has them, path, bytes, time in seconds since the epoch, and a symlink's target."""


class RemoteListing:
    """One list: `entries` first, then `contents` of files by their position in it."""

    def __init__(self, context: RemoteContext, request: Mapping[str, object], cancelled: Callable[[], bool]) -> None:
        """Take the context, what is to be listed, and what ends any waiting with Cancelled."""
        self._context = context
        self._request = request
        self._cancelled = cancelled
        self._sizes = array("Q")
        self._opened = 0

    def entries(self) -> Generator[Entry]:
        """Yield what is in the context: directories before what is in them, names in order. Raises StageFailed, Cancelled."""
        self._opened = self._context.opened()
        del self._sizes[:]
        try:
            with closing(self._context.stream({**self._request, "verb": "listing"}, MOST_BYTES, self._cancelled)) as answer:
                yield from self._entries(answer)
        except BadFrame as bad:
            raise nonsense(bad) from None
        self._context.files = len(self._sizes)

    def _entries(self, answer: Iterator[bytes]) -> Iterator[Entry]:
        above, last = [b""], [b""]  # for each directory around: its path, and the last name in it
        for data in answer:
            at, end = 0, len(data)
            while at < end:
                begin = at + RECORD.size
                if begin > end:
                    raise BadFrame("a record is cut off")
                mode, depth, name_length, target_length, size, time = RECORD.unpack_from(data, at)
                at = begin + name_length + target_length
                name, target = data[begin : begin + name_length], data[begin + name_length : at]
                if at > end or depth >= len(above) or name <= last[depth]:
                    raise BadFrame("a record is cut off, or out of order")
                del above[depth + 1 :], last[depth + 1 :]
                last[depth] = name
                path = above[depth] + name
                if mode == FOLDER:
                    above.append(path + b"/")
                    last.append(b"")
                _require_possible(mode, path, name, size, time, target)
                self._sizes.append(size if mode in REGULAR else NO_FILE)
                if len(self._sizes) > MAX_ENTRIES:
                    raise BadFrame("too many files")
                yield mode, path, size, time, target

    def contents(self, numbers: Sequence[int]) -> Generator[tuple[int, bytes]]:
        """Yield the files of these numbers, in this order: number and bytes, as often as it takes, b"" at the end of each.

        Raises StageFailed, Cancelled.
        """
        if self._opened != self._context.opened():  # the process that had the list is gone
            before = self._sizes[:]
            for _ in self.entries():
                pass
            if before != self._sizes:
                raise StageFailed("the build context changed while it was read", "the repository is being tampered with")
        request = {"verb": "contents", "listing": self._request["listing"], "files": list(numbers)}
        sizes = [self._sizes[number] for number in numbers]
        with closing(self._context.stream(request, sum(sizes), self._cancelled)) as answer:
            data, at = b"", 0
            for number, size in zip(numbers, sizes, strict=True):
                left = size
                while left:
                    if at == len(data):
                        data, at = next(answer, b""), 0
                        if not data:
                            raise nonsense(BadFrame("a file ended early"))
                    piece = data[at : at + left]
                    at += len(piece)
                    left -= len(piece)
                    self._context.bytes += len(piece)
                    yield number, piece
                yield number, b""
            if at < len(data) or next(answer, b""):
                raise nonsense(BadFrame("a file goes on behind its end"))


def _require_possible(mode: int, path: bytes, name: bytes, size: int, time: int, target: bytes) -> None:  # noqa: PLR0917
    """Raise BadFrame for what no tree has."""
    if b"/" in name or b"\0" in name or name in (b".", b"..") or len(name) > MAX_NAME or len(path) > MAX_PATH:
        raise BadFrame("a path is none of a tree")
    if size > MAX_SIZE or time > LATEST:
        raise BadFrame("a file of no possible size or time")
    if mode == LINK:
        if not 0 < len(target) <= MAX_LINK or b"\0" in target or size != len(target):
            raise BadFrame("a symlink without a target")
    elif target or (size if mode == FOLDER else mode not in REGULAR):
        raise BadFrame("a file of an unknown type")
