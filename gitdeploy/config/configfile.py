"""Reads the server's config file, if it may be trusted: whoever can write it commands the Docker Engine."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from gitdeploy.config.document import MAX_CONFIG
from gitdeploy.errors import ConfigError


def read_config_file(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the file's bytes (one more than MAX_CONFIG at most) and warnings about its mode, one line each.

    Raises:
        ConfigError: it is missing, unreadable or no regular file, or others than its user and root can write it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        hint = "run install.sh, or set GITDEPLOY_HOME to the gitdeploy directory in the Git server's data directory"
        raise ConfigError([f"{path}: expected the server's config file, found nothing"], hint) from error
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read by {_user(os.geteuid())}: {_why(path, error)}"], _hint(path)) from error
    try:
        warnings = _judge(path, os.fstat(fd))
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(MAX_CONFIG + 1), warnings
    finally:
        os.close(fd)


def _judge(path: Path, facts: os.stat_result) -> tuple[str, ...]:
    mode = stat.filemode(facts.st_mode)
    user = os.geteuid()
    if not stat.S_ISREG(facts.st_mode):
        raise ConfigError([f"{path}: expected a regular file, found {mode}"])
    if facts.st_uid not in (0, user):
        reason = f"{path}: expected it to belong to {_user(user)} or root, found {_user(facts.st_uid)}"
        raise ConfigError([reason], f"run gitdeploy as {_user(facts.st_uid)}, or: chown {_name(user)} {path}")
    if facts.st_mode & 0o022:
        raise ConfigError([f"{path}: expected that nobody else can write it, found {mode}"], f"run: chmod 600 {path}")
    if facts.st_mode & 0o044:
        return (f"{path}: others can read it ({mode}) and it may hold passwords: chmod 600 {path}",)
    return ()


def _why(path: Path, error: OSError) -> str:
    try:
        facts = path.stat()
    except OSError:
        return str(error.strerror)
    return f"it belongs to {_user(facts.st_uid)} and has mode {stat.filemode(facts.st_mode)} ({error.strerror})"


def _hint(path: Path) -> str:
    try:
        return f"run gitdeploy as {_user(path.stat().st_uid)}"
    except OSError:
        return f"check the directories above {path}"


def _user(uid: int) -> str:
    name = _name(uid)
    return f"user {name}" if name == str(uid) else f"user {name} ({uid})"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user that this machine does not know
        return str(uid)
