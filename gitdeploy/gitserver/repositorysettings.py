"""git's settings in a bare repository, as far as enrolling asks for them. Its owner may have put anything in their place."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gitdeploy.errors import UsageError
from gitdeploy.gitserver.ownedfiles import read_file
from gitdeploy.gitserver.pushoptions import MAX_CONFIG

_REMOTE = re.compile(rb"^\s*\[remote ", re.MULTILINE)
_SHA256 = re.compile(rb"^\s*(?:\[[^]\n]*\]\s*)?objectformat\s*=\s*\"?sha256", re.IGNORECASE | re.MULTILINE)


def is_clone(repository: Path, *, unknown: bool = False) -> bool:
    """Return whether it is a fork or a mirror, `unknown` if its settings cannot be read.

    Those are clones, and name what they were cloned from; deploying a fork would be deploying whatever its owner likes.
    """
    settings = _read(repository)
    return unknown if settings is None else bool(_REMOTE.search(settings))


def uses_sha256(repository: Path) -> bool:
    """Return whether its objects have SHA-256 ids (git-init(1), --object-format), which gitdeploy cannot read."""
    return bool(_SHA256.search(_read(repository) or b""))


def require_sha1(repository: Path) -> None:
    """Raise UsageError if its objects have other ids than SHA-1."""
    if uses_sha256(repository):
        reason = f"{repository} uses SHA-256 object ids, which gitdeploy cannot read"
        raise UsageError(reason, "make the repository anew with SHA-1: git init --object-format=sha1, or so in the Git server")


def _read(repository: Path) -> bytes | None:
    """git's settings in this repository, None if they cannot be read."""
    try:
        directory = os.open(repository, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return read_file(directory, "config", MAX_CONFIG)
    except OSError:
        return None
    finally:
        os.close(directory)
