"""Which repositories of the same Git server a submodule's URL may name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitdeploy.errors import StageFailed
from gitdeploy.source.text import printable

PUBLIC = "git-daemon-export-ok"
"""File in a bare repository that says that everyone may read it; Gogs keeps it up with the repository's visibility."""

HINT = "let its URL point at a repository on the same server that has the commit, or copy its files, or see .dockerignore"

_URL = re.compile(r"(?:https?|ssh|git)://(?:[^/@]*@)?([^/:@]+)(?::[0-9]+)?/+(.*)")
_SCP = re.compile(r"(?:[^/:@]+@)?([^/:@]+):(?!//)(.*)")
_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class SameServer:
    """Resolves URLs that point at repositories of this server, as far as the owner of the app may read them.

    A pusher chooses URL and commit, so without that rule the commit id of a private repository would be enough to read it.
    Allowed are the repositories of the same owner and public ones.

    Attributes:
        root: the directory of repositories, <owner>/<name>.git in it in lower case.
        owner: of the app, "" to allow public repositories only.
        hosts: names under which the server is reached, over HTTP or SSH.
        prefix: path of its web address: "gogs" for https://example.com/gogs/.
    """

    root: Path
    owner: str
    hosts: frozenset[str]
    prefix: str = ""

    def plain(self) -> dict[str, object]:
        """Return what `from_plain` makes it of again: texts and lists."""
        return {"root": str(self.root), "owner": self.owner, "hosts": sorted(self.hosts), "prefix": self.prefix}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> SameServer:
        """Return the same from what `plain` returned."""
        return cls(Path(plain["root"]), plain["owner"], frozenset(plain["hosts"]), plain["prefix"])

    def __call__(self, url: str, parent: Path) -> Path:
        """Return where the repository of a submodule is on this machine.

        Takes a URL from .gitmodules and the repository whose .gitmodules it is. Raises StageFailed.
        """
        owner, _, name = self._path(url, parent).lower().partition("/")
        name = name.removesuffix(".git")
        if not _NAME.fullmatch(owner) or not _NAME.fullmatch(name):
            raise StageFailed(f"{printable(url)} is not owner/name on this server")
        path = self.root / owner / f"{name}.git"
        if not path.is_dir() or (owner != self.owner.lower() and not (path / PUBLIC).exists()):
            raise StageFailed(f"{owner}/{name} is no repository of {self.owner} and no public one (it has no {PUBLIC})")
        return path

    def _path(self, url: str, parent: Path) -> str:
        if url.startswith(("./", "../")):
            root, here = self.root.resolve(), parent.resolve()
            if not here.is_relative_to(root):
                raise StageFailed(f"{printable(url)} is relative to a repository that is not the server's")
            name = here.relative_to(root).as_posix().removesuffix(".git")
            return posixpath.normpath(f"{name}/{url}")
        match = _URL.fullmatch(url) or _SCP.fullmatch(url)
        if not match or match[1].lower() not in self.hosts:
            raise StageFailed(f"{printable(url)} is not on this server ({', '.join(sorted(self.hosts))})")
        path = match[2].strip("/")
        return path.removeprefix(f"{self.prefix.strip('/')}/") if self.prefix else path
