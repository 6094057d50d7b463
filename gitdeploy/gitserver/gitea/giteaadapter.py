"""Gitea 1.19 to 1.28, and Forgejo, which began as Gitea: modules/setting, modules/gitrepo and models of go-gitea/gitea.

The official image has the data directory at /data, the rootless one at /var/lib/gitea, with app.ini in a volume of its own
(docker/root and docker/rootless); the compose file of Gitea's documentation calls that one `config`, beside `data`.
"""

from __future__ import annotations

import posixpath

from gitdeploy.gitserver.adapter import Database, Layout, LfsFormat
from gitdeploy.gitserver.appini import Ini, value_of
from gitdeploy.gitserver.hookplaces import HookPlaces


class GiteaAdapter:
    """Gitea. See `Adapter`."""

    name = "Gitea"
    layouts = (
        Layout("gitea/conf/app.ini", "gitea", "/data"),  # the official image
        Layout("../config/app.ini", ".", "/var/lib/gitea"),  # the rootless image, as its documentation mounts it
        Layout("custom/conf/app.ini", "."),  # on the host; DIR is WORK_PATH
    )
    # Web edits and merges run these, mirrors and people who run git on the server do not.
    hooks = HookPlaces("hooks/post-receive.d", "gitdeploy", alone=False, calls=(b"${hookname}.d",))
    lfs = LfsFormat(2, False, "lfs_meta_object", "repository_id")
    expands = False
    resync = 'Site Administration, "Resynchronize pre-receive, update and post-receive hooks of all repositories"'

    def wrote(self, layout: Layout, settings: Ini) -> bool:
        """See `Adapter`. It writes tokens of these names into app.ini when it is installed, and WORK_PATH since 1.21."""
        names = (
            ("security", "INTERNAL_TOKEN"),
            ("security", "INTERNAL_TOKEN_URI"),
            ("oauth2", "JWT_SECRET"),
            ("", "WORK_PATH"),
        )
        return layout.ini.startswith("gitea/") or any(value_of(settings, section, key) for section, key in names)

    def root(self, layout: Layout, settings: Ini) -> str:
        """See `Adapter`."""
        return value_of(settings, "repository", "ROOT") or posixpath.join(_data(settings), "gitea-repositories")

    def lfs_objects(self, settings: Ini) -> str:
        """See `Adapter`. The place was LFS_CONTENT_PATH of [server] until 1.19; [storage] may move all kinds of files."""
        kind = next((found for section in ("lfs", "storage.lfs", "storage") if (found := _type(settings, section))), "local")
        if kind != "local":
            return ""
        above = value_of(settings, "storage", "PATH")
        default = posixpath.join(above, "lfs") if above else "lfs"
        own = value_of(settings, "lfs", "PATH") or value_of(settings, "server", "LFS_CONTENT_PATH")
        return posixpath.join(_data(settings), own or value_of(settings, "storage.lfs", "PATH") or default)

    def database(self, settings: Ini) -> Database:
        """See `Adapter`."""
        path = value_of(settings, "database", "PATH") or posixpath.join(_data(settings), "gitea.db")
        return Database(value_of(settings, "database", "DB_TYPE"), path)

    def home(self, layout: Layout, settings: Ini) -> str:
        """See `Adapter`."""
        return posixpath.join(_data(settings), value_of(settings, "git", "HOME_PATH") or "home")

    def hook_log(self, settings: Ini) -> str:
        """See `Adapter`."""
        return ""


def _data(settings: Ini) -> str:
    """Return APP_DATA_PATH, against which most relative paths are."""
    return value_of(settings, "server", "APP_DATA_PATH") or "data"


def _type(settings: Ini, section: str) -> str:
    return value_of(settings, section, "STORAGE_TYPE")
