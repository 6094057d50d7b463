"""A build context as the rest of gitdeploy reads it: the process that reads the repository makes its stream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gitdeploy.source import frames
from gitdeploy.source.frames import BadFrame, nonsense
from gitdeploy.source.process import Limits

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
        key: digest of everything that decides what the stream holds.
        files: files and symlinks in the stream, once it has ended.
        bytes: bytes of the stream so far.
    """

    def __init__(self, repository: RemoteRepository, request: Mapping[str, object], what: str, limit: int) -> None:
        """Open it. Takes the request that does, what to call that, and the bytes that the stream may have."""
        self._repository = repository
        self._request = request
        self._what = what
        self._limits = Limits(CONTEXT_WAIT, CONTEXT_CPU, limit + limit // 8 + (1 << 20), limit)
        self.files = self.bytes = 0
        self.dockerfile, self.key, self.content = self._open()

    def _open(self) -> tuple[str, str, bytes]:
        limits = Limits(CONTEXT_WAIT, CONTEXT_CPU, MAX_DOCKERFILE)
        answer, content = self._repository.ask(self._request, self._what, limits)
        self._opened = self._repository.opened
        try:
            key = frames.text(answer, "key", 64)
            if not re.fullmatch("[0-9a-f]{64}", key):
                raise BadFrame("no key")
            return frames.text(answer, "dockerfile", 10_000), key, content
        except BadFrame as bad:
            raise nonsense(bad) from None

    def __iter__(self) -> Iterator[bytes]:
        self.files = self.bytes = 0
        if self._opened != self._repository.opened or not self._repository.alive:
            self._open()
        answer = self._repository.stream(self._what, self._limits)
        try:
            while True:
                chunk = next(answer)
                self.bytes += len(chunk)
                yield chunk
        except StopIteration as end:
            self.files = frames.number(end.value, "files", 1 << 40)
        finally:
            answer.close()
