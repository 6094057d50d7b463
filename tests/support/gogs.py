"""A data directory as Gogs keeps it (0.14, official images), with delegate hooks, and its environment for hooks.

Sources: docker/s6/gogs/setup (places), internal/database/repo.go (delegate hooks), internal/database/repo_editor.go
(environment), internal/lfsx/storage.go (LFS objects) of gogs/gogs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

STAND_IN = Path(__file__).with_name("gogs.sh")
SALT_MD5 = hashlib.md5(b"salt").hexdigest()

# As on the official image's volume: /home/git is a link to /data/git there.
APP_INI = """\
BRAND_NAME = Gogs
RUN_USER   = git
RUN_MODE   = prod

[database]
TYPE = sqlite3
PATH = data/gogs.db

[repository]
ROOT           = {root}
SCRIPT_TYPE    = sh
DEFAULT_BRANCH = main

[server]
DOMAIN           = localhost
HTTP_PORT        = 3000
EXTERNAL_URL     = http://localhost:3000/

[lfs]
STORAGE      = local
OBJECTS_PATH = data/lfs-objects

[log]
ROOT_PATH = /app/gogs/log
"""


# As internal/database of Gogs has them (users.go, repo.go, lfs.go), as far as it matters whose an LFS object is.
TABLES = """\
CREATE TABLE IF NOT EXISTS "user" (id INTEGER PRIMARY KEY, lower_name TEXT);
CREATE TABLE IF NOT EXISTS repository (id INTEGER PRIMARY KEY, owner_id INTEGER, lower_name TEXT);
CREATE TABLE IF NOT EXISTS lfs_object (repo_id INTEGER, oid TEXT);
"""


@dataclass(frozen=True)
class Remote:
    """Where a push goes.

    Attributes:
        url: for `git push`.
        environ: what the client's git needs on top of its own environment.
    """

    url: str
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gogs:
    """A Gogs data directory.

    Attributes:
        data: its path on this machine (`/data` in the container).
        owner: user id (and group id) of what is in it; 1000 in Gogs' images.
        seen: the path under which the Git server sees `data`.
        binary: the gogs binary as the Git server sees it.
        ini: its app.ini, below `data`.
        root: where its repositories are, below `data`.
    """

    data: Path
    owner: int
    seen: Path
    binary: Path
    ini: str = "gogs/conf/app.ini"
    root: str = "git/gogs-repositories"

    @property
    def app_ini(self) -> Path:
        """The config file, as the Git server sees it."""
        return self.seen / self.ini

    def repository(self, name: str) -> Path:
        """The bare repository of "Owner/Name", lower case on disk as Gogs has it."""
        return self.data / self.root / f"{name.lower()}.git"

    def create_repository(self, name: str) -> Path:
        """Makes an empty bare repository "Owner/Name" with Gogs' delegate hooks; returns its path."""
        path = self.repository(name)
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path], check=True)
        shutil.rmtree(path / "hooks")
        self.write_hooks(path)
        listing = self.data / "gogs/data/repositories"
        known = listing.read_text()
        listing.write_text(f"{known}{known.count(chr(10)) + 1} {name.replace('/', ' ')}\n")
        self.own()
        return path

    def rename_repository(self, old: str, new: str) -> Path:
        """Calls a repository of the same owner by another name, as in its settings page; returns its new place."""
        path = self.repository(old).rename(self.repository(old).with_name(f"{new.partition('/')[2].lower()}.git"))
        table = self.data / "gogs/data/repositories"
        names = old.lower().split("/"), new.split("/")
        lines = [line.split() for line in table.read_text().splitlines()]
        table.write_text(
            "".join(" ".join([n, *(names[1] if [o.lower() for o in own] == names[0] else own)]) + "\n" for n, *own in lines)
        )
        return path

    def write_hooks(self, repository: Path) -> None:
        """Writes the delegate hooks, as Gogs does for a new repository and at the admin's "resync hooks"."""
        (repository / "hooks").mkdir(exist_ok=True)
        for hook, arguments in (("pre-receive", ""), ("update", " $1 $2 $3"), ("post-receive", "")):
            path = repository / "hooks" / hook
            path.write_text(f"#!/usr/bin/env sh\n\"{self.binary}\" hook --config='{self.app_ini}' {hook}{arguments}\n")
            path.chmod(0o755)

    def hook_environment(self, name: str) -> dict[str, str]:
        """What Gogs adds to the environment of `git receive-pack` for a push by alice to "Owner/Name"."""
        owner, _, repository = name.partition("/")
        rows = [row.split() for row in (self.data / "gogs/data/repositories").read_text().lower().splitlines()]
        row = next(row for row in rows if row[1:] == [owner.lower(), repository.lower()])
        return {
            "SSH_ORIGINAL_COMMAND": "1",
            "GOGS_AUTH_USER_ID": "1",
            "GOGS_AUTH_USER_NAME": "alice",
            "GOGS_AUTH_USER_EMAIL": "alice@example.com",
            "GOGS_REPO_OWNER_NAME": owner,
            "GOGS_REPO_OWNER_SALT_MD5": SALT_MD5,
            "GOGS_REPO_ID": row[0],
            "GOGS_REPO_NAME": repository,
            "GOGS_REPO_CUSTOM_HOOKS_PATH": f"{self.seen}/git/gogs-repositories/{name.lower()}.git/custom_hooks",
        }

    def local(self, name: str) -> Remote:
        """A push by path that runs hooks in Gogs' environment, as the fastest of the three transports."""
        return Remote(str(self.repository(name)), self.hook_environment(name))

    def put_lfs_object(self, content: bytes, name: str) -> bytes:
        """Stores an LFS object of "Owner/Name"; returns the pointer file that a tree holds in its place."""
        oid = hashlib.sha256(content).hexdigest()
        path = self.data / "gogs/data/lfs-objects" / oid[0] / oid[1] / oid
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        owner, _, repository = name.lower().partition("/")
        with closing(sqlite3.connect(self.data / "gogs/data/gogs.db", isolation_level=None)) as tables:
            tables.executescript(TABLES)
            tables.execute('INSERT INTO "user" (lower_name) VALUES (?)', (owner,))
            tables.execute('INSERT INTO repository (owner_id, lower_name) SELECT max(id), ? FROM "user"', (repository,))
            tables.execute("INSERT INTO lfs_object SELECT max(id), ? FROM repository", (oid,))
        self.own()
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()

    def as_owner(self) -> list[str]:
        """The prefix of a command that is to run as the data directory's owner, as Gogs does."""
        if self.owner == os.geteuid():
            return []
        return ["setpriv", f"--reuid={self.owner}", f"--regid={self.owner}", "--clear-groups", "--"]

    def own(self) -> None:
        """Gives everything in the directory to its owner."""
        if self.owner != os.geteuid():
            subprocess.run(["chown", "-R", f"{self.owner}:{self.owner}", self.data], check=True)


def create(data: Path, owner: int | None = None, seen: Path | None = None, binary: Path | None = None) -> Gogs:
    """Makes a data directory without repositories.

    `owner`: user id, None for this process's. `seen`, `binary`: where a Git server in a container finds the directory and the
    gogs binary, None where it runs on this machine.
    """
    for place in ("gogs/conf", "gogs/data", "gogs/log/hooks", "git/gogs-repositories", "ssh"):
        (data / place).mkdir(parents=True)
    gogs = Gogs(data, os.geteuid() if owner is None else owner, seen or data, binary or data / "gogs/gogs")
    (data / "gogs/conf/app.ini").write_text(APP_INI.format(root="/home/git/gogs-repositories"))
    (data / "gogs/data/repositories").touch()
    shutil.copy(STAND_IN, data / "gogs/gogs")
    gogs.own()
    return gogs
