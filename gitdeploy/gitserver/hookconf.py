"""gitdeploy.conf: the few facts that a repository's hook needs, as lines "key value" that a shell reads with builtins.

It lies in the bare repository itself, so it goes along when the Git server renames or moves the repository, and whoever
looks for an app finds it by this file. It holds no secret: everyone who can read the repository can read it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FILE = "gitdeploy.conf"
MAX_SIZE = 100_000

ANY = "{owner}/{repo}"
"""In place of the app in a repository that was made with the hook in it: it is called as its directory is, until enrolled."""

Mode = Literal["direct", "agent"]


@dataclass(frozen=True)
class HookConf:
    """What a repository's hook knows.

    Attributes:
        app: "owner/repo", lower case.
        homes: the gitdeploy directory as the Git server may see it; the hook takes the first that exists.
        refs: full ref patterns ("refs/heads/main", "refs/tags/v*"): shell globs in which `*` also matches "/".
        wait: seconds after which the hook lets the pusher go.
        mode: "direct": the hook starts the worker; "agent": an agent watches the spool.
        token: random, by which the repository is known again whatever it is called; "" in the template of new ones.
    """

    app: str
    homes: Sequence[str]
    refs: Sequence[str]
    wait: float
    mode: Mode = "direct"
    token: str = ""

    def render(self) -> bytes:
        """Return the file's bytes. Raises ValueError for a value that a line cannot hold."""
        pairs = [
            ("app", self.app),
            *(("home", home) for home in self.homes),
            *(("ref", ref) for ref in self.refs),
            ("wait", str(max(1, round(self.wait)))),
            ("mode", self.mode),
            *([("token", self.token)] if self.token else []),
        ]
        for key, value in pairs:
            if value != value.strip() or not value.isprintable() or not value:
                raise ValueError(f"{key} {value!r} cannot be written to {FILE}")
        return "".join(f"{key} {value}\n" for key, value in pairs).encode("utf-8", "surrogateescape")


def enrolled_app(repository: Path) -> str | None:
    """Return the app that this bare repository is enrolled as, None if it is not enrolled."""
    app = app_in_conf(repository)
    return None if app == ANY else app


def app_in_conf(repository: Path) -> str | None:
    """Return what gitdeploy.conf in this bare repository says of the app, ANY included; None if there is none."""
    return value_of(_read(repository), "app") or None


def token_of(repository: Path) -> str:
    """Return the token in this bare repository, "" if it has none: it was never enrolled, or by an older gitdeploy."""
    return value_of(_read(repository), "token")


def value_of(text: bytes, key: str) -> str:
    """Return the first value of a key in the text of a gitdeploy.conf, "" for none. Pure."""
    for line in text.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return value.strip()
    return ""


def _read(repository: Path) -> bytes:
    """gitdeploy.conf in this bare repository, b"" if there is none.

    Reads a regular file only: in the repository's directory, the Git server's user can put anything in its place.
    """
    try:
        fd = os.open(repository / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        try:
            return file.read(MAX_SIZE)
        except OSError:
            return b""
