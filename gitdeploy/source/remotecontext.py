"""A build context as the rest of gitdeploy reads it: the process that reads the repository makes its stream."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gitdeploy.source import frames
from gitdeploy.source.frames import BadFrame, nonsense
from gitdeploy.source.process import Answer, Limits
from gitdeploy.source.received import checked
from gitdeploy.source.remotelisting import RemoteListing

if TYPE_CHECKING:
    from gitdeploy.source.reader import RemoteRepository

MAX_DOCKERFILE = 1 << 20
CONTEXT_CPU = 300
"""Seconds of processor time for a walk over a context, and for its stream."""

CONTEXT_WAIT = 300.0
"""Seconds for a walk over a context, and for one chunk of its stream: a large file may be many changes of another."""


class RemoteContext:
    """A build context; iterating makes its tar stream in chunks, from the beginning each time, and may raise StageFailed.

    Attributes:
        dockerfile: path of the Dockerfile in the stream.
        content: of the Dockerfile.
        key: digest of everything that decides what the stream holds, its times excepted.
        place: where the directory is in the tree that it is made of, symlinks followed.
        files: how many files and symlinks there are, once a stream or list has ended.
        bytes: how many were given out so far.
    """

    def __init__(self, repository: RemoteRepository, request: Mapping[str, object], what: str, limit: int) -> None:
        """Open it. Takes the request that does, what to call that, and the bytes that the stream may have."""
        self._repository = repository
        self._request = request
        self._what = what
        self._limits = Limits(CONTEXT_WAIT, CONTEXT_CPU, limit + limit // 8 + (1 << 20), limit)
        self._lists = 0
        self._one_at_a_time = threading.RLock()
        self.files = self.bytes = 0
        self.dockerfile, self.key, self.place, self.content = self._open()

    def _open(self) -> tuple[str, str, str, bytes]:
        limits = Limits(CONTEXT_WAIT, CONTEXT_CPU, MAX_DOCKERFILE)
        answer, content = self._repository.ask(self._request, self._what, limits)
        self._opened = self._repository.opened
        try:
            key = frames.text(answer, "key", 64)
            if not re.fullmatch("[0-9a-f]{64}", key):
                raise BadFrame("no key")
            return frames.text(answer, "dockerfile", 10_000), key, frames.text(answer, "place", 10_000), content
        except BadFrame as bad:
            raise nonsense(bad) from None

    def use_ages(self, ages: bytes) -> None:
        """From now on, give files the times that they had when they were last changed. Takes what `reader.ages` returns."""
        self._request = {**self._request, "ages": base64.b64encode(ages).decode()}
        self._opened = 0

    def opened(self) -> int:
        """Return a number that is another one whenever the process that reads had to be replaced. Raises StageFailed."""
        with self._one_at_a_time:
            if self._opened != self._repository.opened or not self._repository.alive:
                self._open()
            return self._opened

    def tar(self, *, hide: bool = False) -> Iterator[bytes]:
        """Return the tar stream, checked: no builder can find another Dockerfile in it than `content`.

        `hide`: see `stream.ContextStream.stream`.
        """
        return checked(self._chunks(hide), self.dockerfile, self.content)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks(False)

    def _chunks(self, hide: bool) -> Iterator[bytes]:
        self.files = self.bytes = 0
        self.opened()
        answer = self._repository.stream({"verb": "stream", "hide": hide}, self._what, self._limits)
        try:
            while True:
                chunk = next(answer)
                self.bytes += len(chunk)
                yield chunk
        except StopIteration as end:
            self.files = frames.number(end.value, "files", 1 << 40)
        finally:
            answer.close()

    def files_for(
        self, follow: Sequence[str], include: Sequence[str], exclude: Sequence[str], cancelled: Callable[[], bool]
    ) -> RemoteListing:
        """Return a list of what these patterns name; no pattern is everything. See `listing.Patterns`."""
        self._lists += 1
        wanted = {"follow": list(follow), "include": list(include), "exclude": list(exclude)}
        request = {**wanted, "listing": self._lists}
        return RemoteListing(self, request, cancelled)

    def stream(self, request: Mapping[str, object], size: int, cancelled: Callable[[], bool]) -> Answer:
        """Yield the data of an answer, of so many bytes at most, while nobody else asks; return its message."""
        limits = Limits(CONTEXT_WAIT, CONTEXT_CPU, size, self._limits.file_size)
        with self._one_at_a_time:
            return (yield from self._repository.stream(request, self._what, limits, cancelled))
