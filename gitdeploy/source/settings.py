"""A repository's own settings, as far as they decide how it is read: its format, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitdeploy.errors import StageFailed
from gitdeploy.source.beneath import Directory
from gitdeploy.source.gitconfig import BadConfig, ConfigEntry, read_config
from gitdeploy.source.text import show

MAX_CONFIG = 1 << 20
"""Bytes of a repository's config: remotes and branches, a few hundred bytes each."""

MAX_ALTERNATES = 64 << 10
MAX_DEPTH = 5
"""Repositories that borrow from one another in a row, as git allows."""

MAX_BORROWED = 50
"""Object directories in all."""

_IGNORED = {"noop", "preciousobjects", "partialclone", "relativeworktrees"}
"""Extensions that do not change how what is there is read."""


def refs_are_in_tables(git: Directory) -> bool:
    """Look at a repository's config; return whether its refs are in reftables.

    Raises:
        StageFailed: it has a format that cannot be read, or settings that lead to other files.
    """
    path = git.path / "config"
    try:
        entries = read_config(git.read("config", MAX_CONFIG) or b"")
    except BadConfig as bad:
        raise StageFailed(f"{path} is no config file of git's: {bad}", "see what `git config --list` says there") from None
    if any(git.exists(name) for name in ("commondir", "gitdir")):
        reason = f"{git.path} is a worktree of another repository: it has a file commondir"
        raise StageFailed(reason, "name that repository itself")
    for entry in entries:
        if entry.section in ("include", "includeif"):
            raise StageFailed(f"{path}: line {entry.line} includes another file: refused", "write its settings there")
    _require_format(path, entries)
    return _last(entries, "extensions", "refstorage") == b"reftable"


def _require_format(path: Path, entries: Sequence[ConfigEntry]) -> None:
    """Raise StageFailed unless it is a format that gitdeploy reads (gitrepository-layout(5), "repository-version")."""
    if _last(entries, "core", "repositoryformatversion") not in (None, b"0", b"1"):
        raise StageFailed(f"{path}: core.repositoryformatversion: expected 0 or 1", "gitdeploy reads no other format")
    if _last(entries, "extensions", "objectformat") not in (None, b"sha1"):
        raise StageFailed(f"{path.parent} uses SHA-256 object ids, which gitdeploy cannot read", "use a SHA-1 repository")
    if _last(entries, "extensions", "refstorage") not in (None, b"files", b"reftable"):
        raise StageFailed(f"{path}: extensions.refStorage: expected files or reftable", "gitdeploy reads no other format")
    known = {"objectformat", "refstorage", *_IGNORED}
    for entry in entries:
        if entry.section == "extensions" and entry.key not in known:
            reason = f"{path}: line {entry.line} asks for an extension of the format that gitdeploy does not know"
            raise StageFailed(reason, f"expected one of {', '.join(sorted(known))}")


def _last(entries: Sequence[ConfigEntry], section: str, key: str) -> bytes | None:
    """Return the value of a setting, in lower case; of several, the last, as git takes it."""
    values = [e.value or b"true" for e in entries if (e.section, e.subsection, e.key) == (section, None, key)]
    return values[-1].lower() if values else None


class ObjectDirectories:
    """A repository's object directory, and those it borrows from, as far as they lie below `root`.

    Attributes:
        opened: its own first.
        missing: paths of those that are not there.
    """

    def __init__(self, root: Path, own: Directory) -> None:
        """Take the open object directory, which belongs to this object from now on. Raises StageFailed."""
        self.opened: list[Directory] = []
        self.missing: list[Path] = []
        self._root = root
        try:
            self._add(own, MAX_DEPTH)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close them."""
        for directory in self.opened:
            directory.close()

    def _add(self, directory: Directory, depth: int) -> None:
        self.opened.append(directory)
        known = {place.path for place in self.opened}
        for path in self._borrowed(directory) if depth else ():
            if path in known or path in self.missing:
                continue
            if len(self.opened) + len(self.missing) > MAX_BORROWED:
                raise StageFailed(f"{self.opened[0].path} borrows from more than {MAX_BORROWED} places", "git repack -a")
            found = Directory.below(self._root, path)
            if found:
                self._add(found, depth - 1)
            else:
                self.missing.append(path)

    def _borrowed(self, directory: Directory) -> Iterator[Path]:
        """Object directories that one borrows from (gitrepository-layout(5), "objects/info/alternates")."""
        data = directory.read("info/alternates", MAX_ALTERNATES) or b""
        for line in data.splitlines():
            if not line or line.startswith(b"#"):
                continue
            path = Path(os.path.normpath(directory.path / os.fsdecode(line)))
            if not path.is_relative_to(self._root) or b"\0" in line:
                where = f"{show(os.fsencode(directory.path))}/info/alternates"
                reason = f"{where} names a directory that is not below {self._root}: gitdeploy does not read objects from there"
                raise StageFailed(reason, "let the repository have its own: git repack -a, then remove that file")
            yield path
