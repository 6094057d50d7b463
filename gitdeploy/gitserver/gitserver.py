"""Where Gogs keeps things: its app.ini, read from the data directory, and the bare repositories below `[repository] ROOT`.

Gogs' app.ini names paths as Gogs sees them. In its official images that is a container with the data directory at /data, so
paths are mapped back (docker/start.sh and docker/s6/gogs/setup of Gogs link /home/git and /app/gogs/data into /data).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gitdeploy.config.appname import is_app_name
from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gitserver.appini import Ini, read_ini
from gitdeploy.gitserver.hookconf import enrolled_apps

CONTAINER_DATA = PurePosixPath("/data")
CONTAINER_PATHS = {
    PurePosixPath("/home/git"): PurePosixPath("git"),
    PurePosixPath("/app/gogs/data"): PurePosixPath("gogs/data"),
    PurePosixPath("/app/gogs/log"): PurePosixPath("gogs/log"),
    CONTAINER_DATA: PurePosixPath("."),
}

MAX_NAME = 1000
"""Characters of an address in app.ini that are read."""


@dataclass(frozen=True)
class Layout:
    """How one kind of installation lays out its data directory.

    Attributes:
        ini: app.ini, below the data directory.
        work: what Gogs resolves relative paths against, below the data directory.
        container: whether absolute paths in app.ini are a container's.
    """

    ini: str
    work: str
    container: bool


LAYOUTS = (
    Layout("gogs/conf/app.ini", "gogs", container=True),  # the official images
    Layout("custom/conf/app.ini", ".", container=False),  # on the host; DIR is the directory with the gogs binary
    Layout("gogs/custom/conf/app.ini", "gogs", container=False),  # on the host; DIR is the home directory around it
    Layout("gitea/conf/app.ini", "gitea", container=True),  # the official images of Gitea and Forgejo
)


@dataclass(frozen=True)
class Address:
    """Where a Git server says that it is reached.

    Attributes:
        hosts: names in the URLs of its repositories, lower case, over HTTP or SSH.
        prefix: path of its web address: "gogs" for https://example.com/gogs/.
    """

    hosts: frozenset[str]
    prefix: str = ""


@dataclass(frozen=True)
class Gogs:
    """One Gogs, found by its data directory.

    Attributes:
        data: the data directory, as this process sees it.
        ini: its app.ini.
        root: the directory of all repositories, ROOT/owner/repo.git.
        lfs: its store of Git LFS objects, None if it is not on this disk.
        layout: which kind of installation it is.
        web: where it says that it is reached.
    """

    data: Path
    ini: Path
    root: Path
    lfs: Path | None
    layout: Layout
    web: Address

    @property
    def homes(self) -> tuple[str, ...]:
        """The gitdeploy directory as the hook may see it: on this machine, and in Gogs' container."""
        inside = (str(CONTAINER_DATA / "gitdeploy"),) if self.layout.container else ()
        return tuple(dict.fromkeys((str(self.data / "gitdeploy"), *inside)))

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
        hint = host_path(self.data, self.layout, seen) if seen else named
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
            return f"create it in Gogs first, or correct [repository] ROOT in {self.ini}"
        same = [name for name in names if name.split("/")[1] == app.split("/")[1]]
        return f"create it in Gogs first, or name one of these: {', '.join((same or names)[:10])}"


def host_path(data: Path, layout: Layout, path: str) -> Path:
    """Return a path of app.ini, or one the hook saw, as this process sees it. Pure.

    Args:
        data: the data directory, as this process sees it.
        layout: its layout.
        path: absolute, or relative to Gogs' working directory.
    """
    given = PurePosixPath(path)
    if not given.is_absolute():
        return data / layout.work / given
    if layout.container and not given.is_relative_to(data):
        for inside, below in CONTAINER_PATHS.items():
            if given.is_relative_to(inside):
                return data / below / given.relative_to(inside)
    return Path(given)


def has_gogs(data: Path) -> bool:
    """Return whether this is a Gogs data directory, rather than one beside plain bare repositories."""
    return any((data / layout.ini).exists() for layout in LAYOUTS)


def read_gogs(data: Path) -> Gogs:
    """Find out where the Gogs with this data directory keeps its repositories.

    Raises:
        UnfitError: the directory is no Gogs data directory, app.ini cannot be read, or ROOT is not there.
    """
    layout = next((layout for layout in LAYOUTS if (data / layout.ini).exists()), None)
    if layout is None:
        places = ", ".join(layout.ini for layout in LAYOUTS)
        hint = "name the directory that is mounted at /data in Gogs' container, and complete Gogs' install page first"
        raise UnfitError(f"{data} is no Gogs data directory: there is none of {places}", hint)
    ini = data / layout.ini
    sections = read_ini(data, ini)
    root = _root(data, layout, ini, sections)
    if not root.is_dir():
        inside = f"; of a container's paths, {CONTAINER_DATA} is {data} here" if layout.container else ""
        hint = f"correct [repository] ROOT in {ini}, or mount that directory at the same place on this machine{inside}"
        raise UnfitError(f"{ini}: [repository] ROOT: expected a directory of this machine, found none there", hint)
    return Gogs(data, ini, root, _lfs(data, layout, sections), layout, address(sections))


def _root(data: Path, layout: Layout, ini: Path, sections: Ini) -> Path:
    configured = sections.get("repository", {}).get("ROOT", "")
    if configured:
        return host_path(data, layout, configured)
    if layout.container:
        return data / "git" / "gogs-repositories"  # Gogs' default, HOME/gogs-repositories
    raise UnfitError(f"{ini}: [repository] ROOT: expected a path, found none", "write the path of the repositories there")


def _lfs(data: Path, layout: Layout, sections: Ini) -> Path | None:
    settings = sections.get("lfs", {})
    if settings.get("STORAGE", "local") != "local":
        return None
    path = host_path(data, layout, settings.get("OBJECTS_PATH", "data/lfs-objects"))
    return path if path.is_dir() else None


def address(sections: Ini) -> Address:
    """Return where app.ini says the server is reached: [server] EXTERNAL_URL (ROOT_URL in older ones and in Gitea), DOMAIN and
    SSH_DOMAIN, which may refer to one another as "%(DOMAIN)s". Pure."""
    server = {"PROTOCOL": "http", "DOMAIN": "localhost", "HTTP_PORT": "3000", **sections.get("server", {})}

    def value(key: str) -> str:
        return re.sub(r"%\((\w+)\)s", lambda found: server.get(found[1], "")[:MAX_NAME], server.get(key, "")[:MAX_NAME])

    url = re.match(r"\w+://(?:[^/@]*@)?(\[[^]/]*\]|[^/:]*)(?::\d*)?/*(.*)", value("EXTERNAL_URL") or value("ROOT_URL"))
    names = (value("DOMAIN"), value("SSH_DOMAIN"), url[1] if url else "")
    return Address(frozenset(name.lower() for name in names if name), url[2].strip("/") if url else "")
