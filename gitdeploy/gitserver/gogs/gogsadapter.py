"""Gogs 0.12 to 0.15: conf/app.ini (its defaults), internal/conf, internal/database and internal/lfsx of gogs/gogs.

Its official images have the data directory at /data, and link /home/git and /app/gogs/data into it (docker/start.sh,
docker/s6/gogs/setup). The `next` image links only the first of them (Dockerfile.next): database and LFS objects are in its
volume only where app.ini says so.
"""

from __future__ import annotations

import posixpath
from types import MappingProxyType

from gitdeploy.gitserver.adapter import Database, Layout, LfsFormat
from gitdeploy.gitserver.appini import Ini, value_of
from gitdeploy.gitserver.hookplaces import HookPlaces

_LINKS = MappingProxyType({"/home/git": "git", "/app/gogs/data": "gogs/data", "/app/gogs/log": "gogs/log"})


class GogsAdapter:
    """Gogs. See `Adapter`."""

    name = "Gogs"
    layouts = (
        Layout("gogs/conf/app.ini", "gogs", "/data", _LINKS),  # the official images
        Layout("custom/conf/app.ini", "."),  # on the host; DIR is the directory with the gogs binary
        Layout("gogs/custom/conf/app.ini", "gogs"),  # on the host; DIR is the home directory around it
    )
    # Its own hooks, which it writes anew at "resync", run those in custom_hooks; merges and mirrors run neither.
    hooks = HookPlaces("custom_hooks", calls=(b" hook ", b"post-receive"))
    lfs = LfsFormat(1, True, "lfs_object", "repo_id")
    expands = True  # since 0.14.1
    resync = 'Admin Panel, "Resync pre-receive, update and post-receive hooks of all repositories"'

    def wrote(self, layout: Layout, settings: Ini) -> bool:
        """See `Adapter`: what no other server claims is taken for Gogs'."""
        return True

    def root(self, layout: Layout, settings: Ini) -> str:
        """See `Adapter`. The default is in the home directory of its user, which only the images determine."""
        default = "/home/git/gogs-repositories" if layout.seen else ""
        return value_of(settings, "repository", "ROOT") or default

    def lfs_objects(self, settings: Ini) -> str:
        """See `Adapter`."""
        local = (value_of(settings, "lfs", "STORAGE") or "local") == "local"
        return (value_of(settings, "lfs", "OBJECTS_PATH") or "data/lfs-objects") if local else ""

    def database(self, settings: Ini) -> Database:
        """See `Adapter`. The key was DB_TYPE until 0.12."""
        kind = value_of(settings, "database", "TYPE") or value_of(settings, "database", "DB_TYPE") or "postgres"
        return Database(kind, value_of(settings, "database", "PATH") or "data/gogs.db")

    def home(self, layout: Layout, settings: Ini) -> str:
        """See `Adapter`."""
        return "/home/git" if layout.seen else ""

    def hook_log(self, settings: Ini) -> str:
        """See `Adapter`."""
        return posixpath.join(value_of(settings, "log", "ROOT_PATH") or "log", "hooks", "post-receive.log")
