"""What differs between one Git server and the next. `gogs` and `gitea` hold an adapter each; all else is the same for both.

Paths in app.ini are as the server sees them: absolute ones may be a container's, relative ones start at its work directory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from gitdeploy.gitserver.appini import Ini
from gitdeploy.gitserver.hookplaces import HookPlaces


@dataclass(frozen=True)
class Layout:
    """How one kind of installation lays out its data directory.

    Attributes:
        ini: app.ini, below the data directory or, with "..", beside it.
        work: what the server resolves relative paths against, below the data directory.
        seen: where its container has the data directory, "" for a server on this machine.
        links: other absolute paths of that container, to where they lie below the data directory.
    """

    ini: str
    work: str
    seen: str = ""
    links: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Database(NamedTuple):
    """Where a Git server keeps its tables.

    Attributes:
        kind: "sqlite3", "postgres", …
        path: the file of a SQLite database, as the server sees it.
    """

    kind: str
    path: str


class LfsFormat(NamedTuple):
    """How a Git server keeps LFS objects.

    Attributes:
        width: digits of the id in the name of each of the two levels of directories.
        whole: whether the file is called by the whole id, or by what the directories leave of it.
        table: of the database: which object is which repository's.
        repository: the column in it for the repository's id.
    """

    width: int
    whole: bool
    table: str
    repository: str


class Adapter(Protocol):
    """One kind of Git server.

    Attributes:
        name: for messages.
        layouts: in which it may be installed, the most common first.
        hooks: where hooks lie in its repositories.
        lfs: how it keeps LFS objects.
        expands: whether "${NAME}" in app.ini stands for a variable of its environment.
        resync: what its administrator does to have its own hooks written anew.
    """

    @property
    def name(self) -> str: ...
    @property
    def layouts(self) -> Sequence[Layout]: ...
    @property
    def hooks(self) -> HookPlaces: ...
    @property
    def lfs(self) -> LfsFormat: ...
    @property
    def expands(self) -> bool: ...
    @property
    def resync(self) -> str: ...

    def wrote(self, layout: Layout, settings: Ini) -> bool:
        """Return whether these settings look like its own, where an app.ini of that place may be another server's, too."""

    def root(self, layout: Layout, settings: Ini) -> str:
        """Return the directory of its repositories, "" if the settings do not tell."""

    def lfs_objects(self, settings: Ini) -> str:
        """Return the directory of LFS objects, "" if they are not on a disk."""

    def database(self, settings: Ini) -> Database:
        """Return where its tables are."""

    def home(self, layout: Layout, settings: Ini) -> str:
        """Return where its git looks for its user's settings, "" for the home directory of that user."""

    def hook_log(self, settings: Ini) -> str:
        """Return its log of what hooks print, "" if it has none."""
