"""The id of an installation, which its containers, images, networks and volumes bear: two gitdeploys may share an engine."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

FILE = "installation-id"
ID = re.compile("[0-9a-f]{16}")


def read_id(home: Path) -> str:
    """Return the id, "" if there is none (yet)."""
    try:
        text = (home / FILE).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
    return text if ID.fullmatch(text) else ""


def installation_id(home: Path) -> str:
    """Return the id, made at first; of several processes that make one at once, one prevails. Raises OSError."""
    if found := read_id(home):
        return found
    temporary = home / f".{FILE}.{secrets.token_hex(6)}.tmp"
    temporary.write_text(f"{secrets.token_hex(8)}\n", encoding="ascii")
    try:
        with suppress(FileExistsError):
            os.link(temporary, home / FILE)
    finally:
        temporary.unlink()
    return read_id(home)
