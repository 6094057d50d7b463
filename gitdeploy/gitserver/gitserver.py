"""One Git server, found by its data directory: its app.ini, and the bare repositories below `[repository] ROOT`.

app.ini names paths as the server sees them. In official images that is a container, so they are mapped back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gitdeploy.config.appname import is_app_name
from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gitserver.adapter import Adapter, Database, Layout
from gitdeploy.gitserver.appini import Ini, read_ini
from gitdeploy.gitserver.gitea.giteaadapter import GiteaAdapter
from gitdeploy.gitserver.gogs.gogsadapter import GogsAdapter
from gitdeploy.gitserver.hookconf import enrolled_apps
from gitdeploy.gitserver.webaddress import Address, address

if TYPE_CHECKING:
    from gitdeploy.source.lfs import LfsStore

GOGS, GITEA = GogsAdapter(), GiteaAdapter()
ADAPTERS: tuple[Adapter, ...] = (GITEA, GOGS)
"""Of two servers with an app.ini at the same place, the first that claims to have written it has."""

_VARIABLE = re.compile(r"\$\{?\w")


@dataclass(frozen=True)
class GitServer:
    """One Git server.

    Attributes:
        adapter: which it is.
        layout: which kind of installation it is.
        data: the data directory, as this process sees it.
        ini: its app.ini.
        settings: what that says; it holds secrets.
        root: the directory of all repositories, ROOT/owner/repo.git; it may not have been made yet.
        web: where it says that it is reached.
    """

    adapter: Adapter
    layout: Layout
    data: Path
    ini: Path
    settings: Ini = field(repr=False)
    root: Path
    web: Address

    @property
    def homes(self) -> tuple[str, ...]:
        """The gitdeploy directory as the hook may see it: on this machine, and in the server's container."""
        inside = (f"{self.layout.seen}/gitdeploy",) if self.layout.seen else ()
        return tuple(dict.fromkeys((str(self.data / "gitdeploy"), *inside)))

    @property
    def owner(self) -> os.stat_result:
        """Facts of what belongs to the server's user: ROOT, or app.ini where that is root's or not made yet."""
        try:
            facts = self.root.stat()
        except OSError:
            facts = self.ini.stat()
        return facts if facts.st_uid else self.ini.stat()

    @property
    def lfs(self) -> LfsStore | None:
        """Its store of Git LFS objects, None if it is not on this disk."""
        from gitdeploy.source.lfs import LfsStore, Owners  # noqa: PLC0415 (most commands ask for none)

        path = self.adapter.lfs_objects(self.settings)
        where = self.path(path) if path else None
        if where is None or not where.is_dir():
            return None
        form, database = self.adapter.lfs, self.database
        owners = Owners(Path(database.path), form.table, form.repository) if database.kind == "sqlite3" else None
        return LfsStore(where, form.width, form.whole, owners)

    @property
    def database(self) -> Database:
        """Its tables; the path is that of this process."""
        found = self.adapter.database(self.settings)
        return found._replace(path=str(self.path(found.path)))

    def path(self, path: str) -> Path:
        """Return a path of app.ini, or one the hook saw, as this process sees it."""
        return host_path(self.data, self.layout, path)

    def repositories(self) -> Iterator[tuple[str, Path]]:
        """Yield all repositories but wikis: ("owner/repo", its bare repository), in order."""
        for path in sorted(self.root.glob("*/*.git")):
            name = f"{path.parent.name}/{path.name.removesuffix('.git')}"
            if is_app_name(name) and not name.endswith(".wiki") and (path / "objects").is_dir():
                yield name, path

    def enrolled(self) -> Iterator[tuple[str, Path]]:
        """Yield the enrolled ones among all repositories, by the apps' names, whatever the repository is called now."""
        for _, path in self.repositories():
            for app in enrolled_apps(path):
                yield app, path

    def repository_of(self, app: str, seen: str = "", name: str = "") -> Path:
        """Return the bare repository of an app, which may have been renamed since it was enrolled.

        Args:
            app: "owner/repo", lower case.
            seen: where the hook said it is, as the Git server sees it; a hint, not believed.
            name: what the repository was called when it was enrolled, "" where that is the app's name.

        Raises:
            UsageError: there is none, or it is another app's and was not named for this one.
        """
        named_for_it, name = bool(name), name or app
        if not is_app_name(name):
            raise UsageError(f"expected an app OWNER/REPO, found {name!r}", "write it in lower case, as below ROOT")
        named = self.root / f"{name}.git"
        hint = self.path(seen) if seen else named
        inside = hint.parent.parent == self.root and ".." not in hint.parts
        for path in (named, *([hint] if inside else [])):
            if app in enrolled_apps(path):
                return path
        enrolled = list(self.enrolled())
        if renamed := [path for other, path in enrolled if other == app]:
            return renamed[0]
        if (named / "objects").is_dir():
            others = [other for other, path in enrolled if path == named]
            if named_for_it or not others:
                return named
            raise UsageError(
                f"the repository {name} is enrolled as {', '.join(others)}",
                f"if it was renamed: gitdeploy rename {others[0]} {app}; for one more app of it: "
                f"gitdeploy enrol OWNER/APP --repository {name}",
            )
        if renamed := [path for other, path in enrolled if other == name != app]:  # what it shares is called otherwise now
            return renamed[0]
        raise UsageError(f"there is no repository {name} in {self.root}", self._suggest(name))

    def _suggest(self, app: str) -> str:
        names = [name for name, _ in self.repositories()]
        if not names:
            return f"create it in {self.adapter.name} first, or correct [repository] ROOT in {self.ini}"
        same = [name for name in names if name.split("/")[1] == app.split("/")[1]]
        return f"create it in {self.adapter.name} first, or name one of these: {', '.join((same or names)[:10])}"


def host_path(data: Path, layout: Layout, path: str) -> Path:
    """Return a path of app.ini, or one the hook saw, as this process sees it. Pure.

    Args:
        data: the data directory, as this process sees it.
        layout: its layout.
        path: absolute, or relative to the server's work directory.
    """
    given = PurePosixPath(path)
    if not given.is_absolute():
        return data / layout.work / given
    if layout.seen and not given.is_relative_to(data):
        for inside, below in (*layout.links.items(), (layout.seen, ".")):
            if given.is_relative_to(inside):
                return data / below / given.relative_to(inside)
    return Path(given)


def has_server(data: Path) -> bool:
    """Return whether this is a Git server's data directory, rather than one beside plain bare repositories."""
    return any(_is_there(data, layout) for adapter in ADAPTERS for layout in adapter.layouts)


def _is_there(data: Path, layout: Layout) -> bool:
    """Whether there is such an app.ini; one beside the data directory counts where that looks like its server's."""
    return _ini(data, layout).exists() and (not layout.ini.startswith("../") or (data / "git").is_dir())


def _ini(data: Path, layout: Layout) -> Path:
    return data.parent / layout.ini[3:] if layout.ini.startswith("../") else data / layout.ini


def read_server(data: Path) -> GitServer:
    """Find out which Git server has this data directory, and where it keeps its repositories.

    Raises:
        UnfitError: the directory is none of a Git server, app.ini cannot be read, or ROOT is nowhere on this machine.
    """
    for adapter in ADAPTERS:
        for layout in adapter.layouts:
            if not _is_there(data, layout):
                continue
            ini = _ini(data, layout)
            settings = read_ini(data if ini.is_relative_to(data) else data.parent, ini)
            if adapter.wrote(layout, settings):
                root = _root(data, adapter, layout, ini, settings)
                return GitServer(adapter, layout, data, ini, settings, root, address(settings))
    places = ", ".join(dict.fromkeys(layout.ini for adapter in reversed(ADAPTERS) for layout in adapter.layouts))
    hint = "name the directory that is mounted at /data in the Git server's container; it has to have been set up before"
    raise UnfitError(f"{data} is no data directory of Gogs or Gitea: there is none of {places}", hint)


def _root(data: Path, adapter: Adapter, layout: Layout, ini: Path, settings: Ini) -> Path:
    """Return ROOT, which the server makes when it starts or with its first repository."""
    configured = adapter.root(layout, settings)
    what = f"{ini}: [repository] ROOT"
    if not configured:
        raise UnfitError(f"{what}: expected a path, found none", "write the path of the repositories there")
    if adapter.expands and _VARIABLE.search(configured):
        hint = f"write the path out, as {adapter.name} sees it: gitdeploy does not know its environment"
        raise UnfitError(f"{what}: expected a path, found one with an environment variable", hint)
    root = host_path(data, layout, configured)
    if not root.is_dir() and (root.exists() or not _may_come(root, data, ini)):
        inside = f"; of a container's paths, {layout.seen} is {data} here" if layout.seen else ""
        hint = f"correct [repository] ROOT in {ini}, or mount that directory at the same place on this machine{inside}"
        raise UnfitError(f"{what}: expected a directory of this machine, found none there", hint)
    return root


def _may_come(root: Path, data: Path, ini: Path) -> bool:
    """Whether the server's user may have made the directory that ROOT is to be in, so that it makes ROOT, too."""
    above, server = root.parent, ini.stat().st_uid
    return above.is_dir() and (above.is_relative_to(data) or 0 != above.stat().st_uid == server)
