"""Repositories as the rest of gitdeploy reads them: each question goes to a process that has no rights but to read them.

The interface is that of `gitdeploy.source.repository` and `gitdeploy.source.buildcontext`, which do the work over there. What
comes back is checked for its type and size, for a repository may have taken that process over.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from gitdeploy.errors import StageFailed
from gitdeploy.source import frames
from gitdeploy.source.commit import ID, MAX_TIME, Commit
from gitdeploy.source.frames import BadFrame, nonsense
from gitdeploy.source.process import Answer, Cancel, Limits, Process
from gitdeploy.source.text import printable

if TYPE_CHECKING:
    from gitdeploy.source.lfs import LfsStore
    from gitdeploy.source.remotecontext import RemoteContext
    from gitdeploy.source.sameserver import SameServer

LOOKUP = Limits()
MAX_RAW = 2 << 20  # bytes of a commit or tag
MAX_AGES = 16 << 20  # bytes
MAX_TIPS = 100_000  # refs that one request asks for


@dataclass(frozen=True)
class Place:
    """Where a repository is, and whose.

    Attributes:
        path: of the repository, links resolved.
        root: the directory that it and all it borrows from lie below, links resolved.
        uid: the user to read it as, where this process may choose.
        gid: that user's group.
    """

    path: Path
    root: Path
    uid: int
    gid: int


class Lender(Protocol):
    """Whoever keeps processes that read."""

    def borrow(self, user: tuple[int, int]) -> Process:
        """Return a process that reads as this user and group, or that has read nothing yet. Raises StageFailed."""

    def give_back(self, process: Process, user: tuple[int, int]) -> None:
        """Take it back, alive or not."""


class RemoteRepository:
    """An open repository; a context manager that closes it. Its methods may raise Cancelled, too."""

    def __init__(self, place: Place, lender: Lender, cancelled: Cancel) -> None:
        """Open it. Raises StageFailed."""
        self.place = place
        self.path = place.path
        self._lender = lender
        self._cancelled = cancelled
        self._process: Process | None = None
        self.opened = 0
        try:
            self._ready()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give its process back."""
        if self._process:
            self._lender.give_back(self._process, (self.place.uid, self.place.gid))
            self._process = None

    def __enter__(self) -> RemoteRepository:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def resolve(self, rev: str) -> Commit:
        """See `repository.Repository.resolve`."""
        answer, _ = self.ask({"verb": "resolve", "rev": rev}, f"reading {printable(rev[:60])} of {self.path}")
        try:
            oid, tree, subject, author = (frames.text(answer, key, 10_000) for key in ("id", "tree", "subject", "author"))
            if not ID.fullmatch(oid) or not ID.fullmatch(tree):
                raise BadFrame("no id")
            return Commit(oid, tree, printable(subject), printable(author), frames.number(answer, "time", MAX_TIME))
        except BadFrame as bad:
            raise nonsense(bad) from None

    def holds(self, oid: str) -> bool:
        """See `repository.Repository.holds`."""
        answer, _ = self.ask({"verb": "holds", "id": oid}, f"looking for {printable(oid[:40])} in {self.path}")
        return answer.get("holds") is True

    def refs(self) -> list[str]:
        """See `repository.Repository.refs`."""
        _, data = self.ask({"verb": "refs"}, f"reading the refs of {self.path}")
        names = data.decode("utf-8", "surrogateescape").split("\0")
        return [name for name in names if name.startswith("refs/")]

    def tip(self, ref: str) -> str | None:
        """See `repository.Repository.tip`."""
        answer, _ = self.ask({"verb": "tip", "ref": ref}, f"reading {printable(ref[:60])} of {self.path}")
        tip = answer.get("tip")
        if tip is not None and not (isinstance(tip, str) and ID.fullmatch(tip)):
            raise nonsense(BadFrame("no id"))
        return tip

    def tips(self, refs: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the ids of the commits that full ref names point at; and why some cannot be read. Raises StageFailed."""
        tips: dict[str, str] = {}
        wrong: dict[str, str] = {}
        if len(refs) > MAX_TIPS:
            raise StageFailed(f"{self.path} has more than {MAX_TIPS:,} refs to watch", "watch fewer: see branch in config.toml")
        _, data = self.ask({"verb": "tips", "refs": list(refs)}, f"reading the refs of {self.path}")
        words = data.decode("utf-8", "surrogateescape").split("\0")
        asked = set(refs)
        for ref, found in zip(words[::2], words[1::2], strict=False):
            if ref in asked and ID.fullmatch(found):
                tips[ref] = found
            elif ref in asked and found:
                wrong[ref] = printable(found.removeprefix("!")[:1000])
        return tips, wrong

    def differ(self, old: str, new: str, patterns: Sequence[str]) -> bool:
        """Return whether files that the patterns name differ between two commits, by their ids. See `changes.differ`."""
        what = f"comparing {printable(old[:12])} and {printable(new[:12])} of {self.path}"
        answer, _ = self.ask({"verb": "differ", "old": old, "new": new, "patterns": list(patterns)}, what)
        return answer.get("differ") is not False

    def raw(self, name: str) -> tuple[str, bytes]:
        """See `repository.Repository.raw`."""
        what = f"reading {printable(name[:60])} of {self.path}"
        answer, data = self.ask({"verb": "raw", "name": name}, what, Limits(size=MAX_RAW))
        try:
            return frames.text(answer, "kind", 10), data
        except BadFrame as bad:
            raise nonsense(bad) from None

    def read_file(self, commit: Commit, path: str, limit: int) -> bytes | None:
        """See `repository.Repository.read_file`."""
        request = {"verb": "read_file", "commit": commit.id, "tree": commit.tree, "path": path, "limit": limit}
        answer, data = self.ask(request, f"reading {printable(path[:200])} of commit {commit.id[:12]}", Limits(size=limit))
        return data if answer.get("found") is True else None

    def context(
        self,
        commit: Commit,
        *,
        directory: str,
        dockerfile: str,
        lfs: LfsStore | None,
        submodules: SameServer | None,
        limit: int,
    ) -> RemoteContext:
        """See `buildcontext.open_context`."""
        request = {
            "verb": "context",
            "commit": commit.id,
            "tree": commit.tree,
            "directory": directory,
            "dockerfile": dockerfile,
            "lfs": lfs.plain() if lfs else None,
            "submodules": submodules.plain() if submodules else None,
            "limit": limit,
            "ages": "",
        }
        # dulwich comes with it, which takes a while to import and which no command line needs.
        from gitdeploy.source.remotecontext import RemoteContext  # noqa: PLC0415

        return RemoteContext(self, request, f"reading commit {commit.id[:12]}", limit)

    def ages(self, commit: Commit, last: bytes, now: int) -> tuple[bytes, bool]:
        """Return when each file of a commit's tree was last changed, and whether that begins anew. See `ages.advance`.

        Args:
            last: what this returned for the tree that was built before, b"" if nothing is known of it.
            now: the time of the commit, in seconds since the epoch.
        """
        request = {"verb": "ages", "tree": commit.tree, "last": base64.b64encode(last).decode(), "now": now}
        what = f"comparing commit {commit.id[:12]} with what was built before"
        answer, data = self.ask(request, what, Limits(size=MAX_AGES))
        return data, answer.get("anew") is not False

    def ask(self, request: Mapping[str, object], what: str, limits: Limits = LOOKUP) -> tuple[dict[str, Any], bytes]:
        """Ask about the open repository. Raises StageFailed, Cancelled."""
        return self._ready().ask(request, what, limits, self._cancelled)

    def stream(self, request: Mapping[str, object], what: str, limits: Limits, cancelled: Cancel = lambda: False) -> Answer:
        """Yield the data of an answer about the context opened last; return the message at its end.

        Raises StageFailed, and Cancelled when `cancelled` or what this repository was opened with says so.
        """
        return self._ready().stream(request, what, limits, lambda: cancelled() or self._cancelled())

    @property
    def alive(self) -> bool:
        """Whether the process that has it open can still be asked."""
        return self._process is not None and self._process.alive

    def _ready(self) -> Process:
        """Return the process with this repository open in it: another one if the last has died over a question."""
        if self._process and self._process.alive:
            return self._process
        self.close()
        place = self.place
        self._process = self._lender.borrow((place.uid, place.gid))
        self.opened += 1
        request = {"verb": "open", "path": str(place.path), "root": str(place.root), "uid": place.uid, "gid": place.gid}
        self._process.ask(request, f"opening {place.path}", LOOKUP, self._cancelled)
        return self._process
