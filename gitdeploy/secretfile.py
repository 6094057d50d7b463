"""Files that hold secrets: env files and build secrets on the server. Read at use, refused when others can read them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from gitdeploy.errors import StageFailed

MAX_SIZE = 500_000
"""Bytes: BuildKit's own limit for a secret (moby/buildkit, secrets.MaxSecretSize)."""


def read_secret(path: Path, key: str) -> bytes:
    """The contents of a secret file.

    Args:
        path: of the file.
        key: the config key that names it, for messages.

    Raises:
        StageFailed: it is missing, no regular file, too large, of another user, or readable by others.
    """
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
        _require_private(path, key, facts)
        return file.read(MAX_SIZE)


def _require_private(path: Path, key: str, facts: os.stat_result) -> None:
    """Raises StageFailed unless only gitdeploy's own user and root can have written and can read the file."""
    if facts.st_uid not in (0, os.geteuid()):
        reason = f"{key}: {path} belongs to user {facts.st_uid}, expected user {os.geteuid()} or root"
        raise StageFailed(reason, f"run: chown {os.geteuid()} {path}")
    if facts.st_mode & 0o077:
        found = stat.filemode(facts.st_mode)
        raise StageFailed(f"{key}: {path} holds secrets and others can read it ({found})", f"run: chmod 600 {path}")
    if facts.st_size > MAX_SIZE:
        raise StageFailed(f"{key}: {path} has {facts.st_size} bytes, more than the {MAX_SIZE} a secret may have")


def parse_env_file(data: bytes, path: Path) -> dict[str, str]:
    """KEY=VALUE lines as `docker run --env-file` reads them: no quoting, `#` begins a comment line. Pure.

    Raises:
        StageFailed: a line is neither; the message holds the line's number, not its text.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.lstrip().partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) or "\0" in value:
            raise StageFailed(f"env_file: {path}, line {number}: expected NAME=VALUE", "correct that line")
        values[name] = value
    return values
