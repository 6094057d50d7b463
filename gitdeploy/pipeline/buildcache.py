"""The name of an app's build cache, which no other app can guess.

Old frontends (docker/dockerfile before 1.1.2) know no namespaces of cache mounts: a Dockerfile that takes one could write
another app's namespace into the id of its mount. A name made with a key of this installation cannot be written by anybody else.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

KEY = "build-cache.key"
"""In gitdeploy's own directory. Without it every app begins a new cache; nothing else is lost."""

BYTES = 32


def cache_name(home: Path, app: str) -> str:
    """32 hexadecimal digits, the same for each build of the app of that name. Makes the key if there is none."""
    return hmac.new(_key(home / KEY), app.encode(), hashlib.sha256).hexdigest()[:32]


def _key(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        if len(key := path.read_bytes()) == BYTES:
            return key
        path.unlink()  # cut off by a power loss
    temporary = path.with_name(f".{KEY}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(BYTES))
        with contextlib.suppress(FileExistsError):  # another worker was quicker, and its key counts
            os.link(temporary, path)
    finally:
        temporary.unlink()
    return path.read_bytes()
