"""Who reads repositories: a process that is started early and kept, with the rights of the Git server's user and no more.

With an agent, whoever has broken into the Git server owns the repositories and app.ini, and root reads them. So the agent does
not read them itself: a process of the Git server's user does, which can see nothing that this user could not see anyway.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gitdeploy.errors import GitdeployError, StageFailed, UnfitError
from gitdeploy.gitserver.gitserver import GitServer
from gitdeploy.gitserver.ownedfiles import open_directory
from gitdeploy.source.process import Cancel, Limits, Process
from gitdeploy.source.reader import Place, RemoteRepository

CLOSE = Limits(wait=5.0)


class Readers:
    """The readers of one installation: one is kept, and more are started while that is busy."""

    def __init__(self, place_of: Callable[[Path], Place], temporary: str = "") -> None:
        """Take what says where a repository is and whose, and the directory for temporary files, "" for the system's."""
        self._place_of = place_of
        self._temporary = temporary
        self._lock = threading.Lock()
        self._kept: tuple[Process, tuple[int, int] | None] | None = None

    def warm(self) -> None:
        """Start a process ahead of the first question, so that both sides start at the same time."""
        with self._lock:
            if self._kept is None or not self._kept[0].alive:
                with suppress(StageFailed):  # whoever asks will be told
                    self._kept = Process(self._temporary), None

    def open(self, repository: Path, cancelled: Cancel = lambda: False) -> RemoteRepository:
        """Open a repository.

        Args:
            repository: its path.
            cancelled: looked at while an answer is awaited.

        Raises:
            StageFailed: there is none that can be read.
            Cancelled: `cancelled` said so.
        """
        return RemoteRepository(self._place_of(repository), self, cancelled)

    def borrow(self, user: tuple[int, int]) -> Process:
        """See `reader.Lender`."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept and kept[0].alive and kept[1] in (None, user):
            return kept[0]
        if kept:
            kept[0].kill()
        return Process(self._temporary)

    def give_back(self, process: Process, user: tuple[int, int]) -> None:
        """See `reader.Lender`."""
        if process.idle and threading.current_thread() is threading.main_thread():  # it ends with the thread that started it
            with suppress(GitdeployError):
                process.ask({"verb": "close"}, "closing a repository", CLOSE, lambda: False)
                with self._lock:
                    if self._kept is None and process.alive:
                        self._kept = process, user
                        return
        process.kill()

    def close(self) -> None:
        """End the process that is kept."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept:
            kept[0].kill()


def place_of(repository: Path, server: GitServer | None) -> Place:
    """Return where a repository really is, and as whom to read it.

    Below the Git server's ROOT that is the owner of ROOT, or of app.ini where ROOT is root's: either is the Git server's own
    user, whatever the other says. Elsewhere config.toml names the repository, and it is read as its owner.

    Args:
        repository: its path.
        server: the Git server, None where there is none.

    Raises:
        StageFailed: it is not there, lies behind a link that somebody else made or that leads out of ROOT, or is a stranger's.
    """
    root = server.root if server and repository.is_relative_to(server.root) else repository.parent
    if not repository.is_dir():
        reason = f"there is no repository at {repository}"
        raise StageFailed(reason, "was it renamed or deleted? enrol it again under its new name")
    try:
        fd = open_directory(root, repository)
    except UnfitError as error:
        raise StageFailed(error.reason, error.hint) from None
    try:
        owner, real = os.fstat(fd), Path(f"/proc/self/fd/{fd}").readlink()
    finally:
        os.close(fd)
    top = root.resolve()
    if not real.is_relative_to(top):
        raise StageFailed(f"{repository} leads out of {root}", "replace the link by the repository itself")
    if server is None or root != server.root:
        return Place(real, top, owner.st_uid, owner.st_gid)
    keeper = server.owner
    if owner.st_uid not in (0, os.geteuid(), keeper.st_uid):
        reason = f"{repository} belongs to user {owner.st_uid}, and the Git server's repositories to user {keeper.st_uid}"
        raise StageFailed(reason, f"chown -R {keeper.st_uid} {repository}")
    return Place(real, top, keeper.st_uid, keeper.st_gid)
