"""Readers for tests: a real process that reads, as whoever is said, with smaller limits or another program in its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.source import process
from gitdeploy.source.buildcontext import MAX_CONTEXT
from gitdeploy.source.reader import Place, RemoteRepository
from gitdeploy.source.remotecontext import RemoteContext
from gitdeploy.source.sameserver import SameServer
from gitdeploy.worker.readers import Readers

GIT = 1000
"""The user whom the Git server runs as in tests that are run by root."""


@contextmanager
def opened(path: Path, uid: int = 0, root: Path | None = None) -> Iterator[RemoteRepository]:
    """A repository, read by a process of this user's; nothing is left of that behind the block."""
    readers = Readers(lambda path: Place(path, root or path.parent, uid, uid))
    try:
        with readers.open(path) as repository:
            yield repository
    finally:
        readers.close()


def context(
    repository: RemoteRepository, rev: str = "main", limit: int = MAX_CONTEXT, submodules: SameServer | None = None
) -> RemoteContext:
    """The build context of a commit."""
    commit = repository.resolve(rev)
    return repository.context(commit, directory=".", dockerfile="Dockerfile", lfs=None, submodules=submodules, limit=limit)


def pid_of(repository: RemoteRepository) -> int:
    """The process that has it open."""
    assert repository._process
    return repository._process._process.pid


def start_with(statements: str) -> str:
    """What the reading process is started with: these statements before it begins."""
    begin, middle, end = process.START.partition("from gitdeploy.source.child")
    assert middle
    return f"{begin}{statements}; {middle}{end}"
