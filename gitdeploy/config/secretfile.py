"""Files that hold secrets: env files and build secrets on the server. Read at use, refused when others can read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from gitdeploy.config.envfile import env_file_values, parse_env_file
from gitdeploy.config.model import App
from gitdeploy.errors import GitdeployError, StageFailed

MAX_SIZE = 500_000
"""Bytes: BuildKit's own limit for a secret (moby/buildkit, secrets.MaxSecretSize)."""


def read_secret(path: Path, key: str, *, private: bool = True) -> bytes:
    """Return the contents of a secret file.

    Args:
        path: of the file.
        key: the config key that names it, for messages.
        private: whether nobody else may read it.

    Raises:
        StageFailed: it is missing, no regular file, too large, of another user, readable by others, or in a place where
            others could have put it.
    """
    require_own_place(path, key)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        reason = f"{key}: {path} cannot be read: {error.strerror}"
        raise StageFailed(reason, "create the file with mode 0600, or correct the path in config.toml") from error
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        os.close(fd)
        raise StageFailed(f"{key}: {path} is not a regular file", "name a file in config.toml")
    with os.fdopen(fd, "rb") as file:
        _require_own(path, key, facts, private=private)
        return file.read(MAX_SIZE)


def whole_env(
    app: App, proxies: Mapping[str, str], hide: Callable[[Iterable[str]], object] = lambda values: None
) -> dict[str, str]:
    """Return the environment of an app's containers: proxies, `env` and `env_file`, the later the stronger.

    Args:
        hide: is told the values in env_file.

    Raises:
        StageFailed: env_file cannot be read, or others can read it.
    """
    secret = _read_env_file(app.env_file, f'apps."{app.name}".env_file')
    hide(secret.values())
    return {**proxies, **app.env, **secret}


def accessory_env(app: App, name: str, hide: Callable[[Iterable[str]], object] = lambda values: None) -> dict[str, str]:
    """Return the environment of one of the app's accessories, as `whole_env` does."""
    accessory = app.accessories[name]
    secret = _read_env_file(accessory.env_file, f'apps."{app.name}".accessories.{name}.env_file')
    hide(secret.values())
    return {**accessory.env, **secret}


def _read_env_file(path: Path | None, key: str) -> Mapping[str, str]:
    """Return what a file has, nothing where none is named."""
    return parse_env_file(read_secret(path, key), path) if path else {}


def require_own_place(path: Path, key: str) -> None:
    """Raise StageFailed if another user could put another file in this one's place: a link to a secret that is not meant
    for the app, or another app's file. In agent mode the whole data directory is the Git server's user's.
    """
    trusted = (0, os.geteuid())
    for directory in {*path.parents, *path.resolve().parents}:
        try:
            facts = directory.lstat()
        except OSError:
            return  # opening the file tells it better
        if who := _who_else_writes(facts, trusted):
            reason = f"{key}: {who} can write to {directory} and so put another file in the place of {path}"
            hint = "keep it where only root and gitdeploy's user can write, in agent mode /var/lib/gitdeploy/secrets say"
            raise StageFailed(reason, hint)


def _who_else_writes(facts: os.stat_result, trusted: Collection[int]) -> str:
    """Return who besides the trusted users can put files into that directory, "" for nobody. A link has no rights."""
    if facts.st_uid not in trusted:
        return f"user {facts.st_uid}"
    if facts.st_mode & stat.S_ISVTX or stat.S_ISLNK(facts.st_mode):
        return ""
    if facts.st_mode & stat.S_IWOTH:
        return "everybody"
    return f"group {facts.st_gid}" if facts.st_mode & stat.S_IWGRP and facts.st_gid != os.getegid() else ""


def _require_own(path: Path, key: str, facts: os.stat_result, *, private: bool) -> None:
    """Raise StageFailed unless only gitdeploy's own user and root can have written and, if it is private, can read the file."""
    if facts.st_uid not in (0, os.geteuid()):
        reason = f"{key}: {path} belongs to user {facts.st_uid}, expected user {os.geteuid()} or root"
        raise StageFailed(reason, f"run: chown {os.geteuid()} {path}")
    if facts.st_mode & (0o077 if private else 0o022):
        found = stat.filemode(facts.st_mode)
        what, mode = ("holds secrets and others can read it", "600") if private else ("can be written by others", "644")
        raise StageFailed(f"{key}: {path} {what} ({found})", f"run: chmod {mode} {path}")
    if facts.st_size > MAX_SIZE:
        raise StageFailed(f"{key}: {path} has {facts.st_size} bytes, more than the {MAX_SIZE} it may have")


def cluster_files(app: App) -> dict[str, bytes]:
    """Return the contents of `swarm.files` by their path in the containers. Raises StageFailed for one that cannot be read."""
    found = {}
    for inner, path in app.swarm.files.items():
        key = f'apps."{app.name}".swarm.files."{inner}"'
        found[inner] = read_secret(path, key, private=False)
        if not found[inner]:
            raise StageFailed(f"{key}: {path} is empty, and a cluster keeps no empty files")
    return found


def values_in_files(app: App) -> list[str]:
    """Return what the app's secret files hold, to be hidden before anything is done with them.

    A file that cannot be read, or is not well-formed, is no failure here: the stage that needs it says so.
    """
    files = [(app.env_file, f'apps."{app.name}".env_file')] if app.env_file else []
    beside = [(f'apps."{app.name}".accessories.{name}.env_file', found.env_file) for name, found in app.accessories.items()]
    files += [(path, key) for key, path in beside if path]
    files += [(path, f'apps."{app.name}".build.secrets.{name}') for name, path in app.build.secrets.items()]
    values: list[str] = []
    for path, key in files:
        try:
            data = read_secret(path, key)
        except (GitdeployError, OSError):
            continue
        if key.endswith(".env_file"):
            values += env_file_values(data)
        else:
            values += data.decode("utf-8", "replace").splitlines()
    return values
