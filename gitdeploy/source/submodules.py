"""Submodules: the repositories that a tree's gitlinks point into, where they are on the same server."""

from __future__ import annotations

from pathlib import Path

from gitdeploy.errors import StageFailed
from gitdeploy.source.bounds import FILE
from gitdeploy.source.gitconfig import BadConfig, read_config
from gitdeploy.source.objects import BLOB
from gitdeploy.source.sameserver import HINT, SameServer
from gitdeploy.source.text import printable, show
from gitdeploy.source.tree import find
from gitdeploy.source.walk import Source

MAX_GITMODULES = 256 << 10
"""Bytes of a .gitmodules file."""


class Submodules:
    """Finds what the submodules of a tree, and theirs, refer to."""

    def __init__(self, server: SameServer | None) -> None:
        """Take the server whose repositories they may be, None for no submodules."""
        self._server = server
        self._urls: dict[tuple[Path, bytes], dict[bytes, str]] = {}

    def enter(self, parent: Source, path: bytes, commit: bytes) -> Source:
        """Return the tree of a submodule. Takes what `walk.Enter` does; raises StageFailed with the submodule and its URL."""
        url = self._urls_of(parent).get(parent.path(path))
        if url is None:
            raise StageFailed(f"submodule {show(path)}: .gitmodules has no URL for it", HINT)
        try:
            if self._server is None:
                raise StageFailed(f"{printable(url)} is not taken: this server is not set up for submodules")
            repository = parent.repository.other(self._server(url, parent.repository.path), self._server.root)
            if repository.objects.lookup(commit) is None:
                raise StageFailed(f"{printable(url)} has no commit {commit.hex()}; push it there")
            tree = repository.resolve(commit.hex()).tree
        except StageFailed as error:
            raise StageFailed(f"submodule {show(path)}: {error.reason}", HINT) from None
        return Source(repository, bytes.fromhex(tree), mount=path + b"/")

    def _urls_of(self, source: Source) -> dict[bytes, str]:
        """Path of a submodule → URL, from the .gitmodules file at the root of a tree."""
        key = (source.repository.path, source.tree)
        if key not in self._urls:
            self._urls[key] = _read_gitmodules(source)
        return self._urls[key]


def has_submodules(source: Source) -> bool:
    """Return whether a tree declares submodules."""
    return find(source.repository.objects, source.tree, [b".gitmodules"]) is not None


def _read_gitmodules(source: Source) -> dict[bytes, str]:
    objects = source.repository.objects
    entry = find(objects, source.tree, [b".gitmodules"])
    if entry is None or entry.mode != FILE:
        return {}
    data = objects.read(entry.oid, BLOB, MAX_GITMODULES, ".gitmodules")
    try:
        entries = read_config(data)
    except BadConfig as bad:
        raise StageFailed(f".gitmodules cannot be read: {bad}", "see what `git submodule status` says") from None
    found: dict[bytes, dict[str, bytes]] = {}
    for setting in entries:
        if setting.section == "submodule" and setting.subsection is not None:
            found.setdefault(setting.subsection, {})[setting.key] = setting.value or b""
    return {m["path"].strip(b"/"): m["url"].decode("utf-8", "replace") for m in found.values() if "path" in m and "url" in m}
