"""Push options (`git push -o`): git refuses them unless the repository's config advertises them (git-config(1))."""

from __future__ import annotations

import os
import stat

from gitdeploy.gitserver.ownedfiles import read_file, write_file

PUSH_OPTIONS = b"[receive] # by gitdeploy, for `git push -o`\n\tadvertisePushOptions = true\n"
"""Added to the repository's config."""

MAX_CONFIG = 1_000_000


def offer(directory: int) -> bool:
    """Advertises them in the repository that is open as `directory`; returns whether its config changed."""
    text = read_file(directory, "config", MAX_CONFIG)
    if text is None or PUSH_OPTIONS in text:
        return False
    return _write(directory, text + (b"" if text.endswith(b"\n") else b"\n") + PUSH_OPTIONS)


def withdraw(directory: int) -> None:
    """Take back what `offer` did."""
    text = read_file(directory, "config", MAX_CONFIG)
    if text is not None and PUSH_OPTIONS in text:
        _write(directory, text.replace(PUSH_OPTIONS, b""))


def _write(directory: int, text: bytes) -> bool:
    facts = os.stat("config", dir_fd=directory, follow_symlinks=False)
    return write_file(directory, "config", text, mode=stat.S_IMODE(facts.st_mode), owner=facts)
