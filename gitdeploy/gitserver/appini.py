"""app.ini, the settings of Gogs and Gitea: who has broken into the Git server can write it, and put anything in its place.

No error quotes what it says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gitdeploy.errors import UnfitError
from gitdeploy.gitserver.ownedfiles import open_file

MAX_INI = 1 << 20
"""Bytes of app.ini."""

Ini = Mapping[str, Mapping[str, str]]


def read_ini(data: Path, ini: Path) -> Ini:
    """Read app.ini as `parse_ini` does; the Git server's user may have put anything in its place.

    Args:
        data: the Git server's data directory; links in its path are trusted.
        ini: app.ini, below it.

    Raises:
        UnfitError: it is no regular file, lies behind a link that this user made, is too large or cannot be read.
    """
    try:
        with os.fdopen(open_file(data, ini), "rb") as file:
            content = file.read(MAX_INI + 1)
    except (UnfitError, OSError) as error:
        hint = "run this as the owner of the data directory, or as root; a link to it must be root's, or that owner's"
        what = error.reason if isinstance(error, UnfitError) else f"{ini} cannot be read: {error.strerror}"
        raise UnfitError(what, hint) from error
    if len(content) > MAX_INI:
        raise UnfitError(f"{ini} has more than {MAX_INI:,} bytes", "is it Gogs' app.ini?")
    return parse_ini(content.decode("utf-8", "replace"))


def parse_ini(text: str) -> dict[str, dict[str, str]]:
    """Read Gogs' app.ini: section → key → value; "" and DEFAULT are the section before the first. Pure.

    As Gogs' own reader (go-ini with IgnoreInlineComment) does: no inline comments, values may stand in quotes or backticks,
    keys are compared as written, the last one wins.
    """
    sections: dict[str, dict[str, str]] = {}
    section = sections.setdefault("", {})
    for raw in text.removeprefix("\ufeff").splitlines():
        line = raw.strip()
        if not line or line[0] in ";#":
            continue
        if line[0] == "[" and "]" in line:
            name = line[1 : line.rindex("]")].strip()
            section = sections.setdefault("" if name == "DEFAULT" else name, {})
            continue
        key, found, value = line.partition("=")
        if found:
            section[key.strip().strip('`"')] = _unquote(value.strip())
    return sections


def value_of(settings: Ini, section: str, key: str) -> str:
    """Return the value of a key, "" if it is not set. Pure."""
    return settings.get(section, {}).get(key, "")


def _unquote(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "`\"'"
    return value[1:-1] if quoted else value
