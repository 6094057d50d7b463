"""gitdeploy.conf: the few facts that a repository's hook needs, as lines "key value" that a shell reads with builtins.

It lies in the bare repository itself, so it goes along when the Git server renames or moves the repository, and whoever
looks for an app finds it by this file. A repository may serve several apps: each has a line "app", and the lines "ref" behind
it are that app's. It holds no secret: everyone who can read the repository can read it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from gitdeploy.config.appname import is_app_name

FILE = "gitdeploy.conf"
MAX_SIZE = 100_000
MAX_APPS = 50
"""Apps of one repository: each of them gets a record of its own for a push."""

ANY = "{owner}/{repo}"
"""In place of the app in a repository that was made with the hook in it: it is called as its directory is, until enrolled."""

Mode = Literal["direct", "agent"]


@dataclass(frozen=True)
class HookConf:
    """What a repository's hook knows for one app, and for those that share the repository with it.

    Attributes:
        app: "owner/repo", lower case.
        homes: the gitdeploy directory as the Git server may see it; the hook takes the first that exists.
        refs: full ref patterns ("refs/heads/main", "refs/tags/v*"): shell globs in which `*` also matches "/".
        wait: seconds after which the hook lets the pusher go.
        mode: "direct": the hook starts the worker; "agent": an agent watches the spool.
        token: random, by which the repository is known again whatever it is called; "" in the template of new ones.
        others: ref patterns of other apps, by their names: of those that share the repository, as far as the config tells.
    """

    app: str
    homes: Sequence[str]
    refs: Sequence[str]
    wait: float
    mode: Mode = "direct"
    token: str = ""
    others: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))

    def beside(self, others: Mapping[str, Sequence[str]]) -> HookConf:
        """Return it for a repository that serves these apps, too; takes the ref patterns that their hook knows of."""
        shared = {app: self.others.get(app, refs) for app, refs in others.items() if app != self.app}
        return replace(self, others=MappingProxyType(shared))

    def render(self) -> bytes:
        """Return the file's bytes. Raises ValueError for a value that a line cannot hold."""
        pairs = [
            *(pair for app, refs in sorted({**self.others, self.app: self.refs}.items()) for pair in _app_lines(app, refs)),
            *(("home", home) for home in self.homes),
            ("wait", str(max(1, round(self.wait)))),
            ("mode", self.mode),
            *([("token", self.token)] if self.token else []),
        ]
        for key, value in pairs:
            if value != value.strip() or not value.isprintable() or not value:
                raise ValueError(f"{key} {value!r} cannot be written to {FILE}")
        return "".join(f"{key} {value}\n" for key, value in pairs).encode("utf-8", "surrogateescape")


def _app_lines(app: str, refs: Sequence[str]) -> list[tuple[str, str]]:
    return [("app", app), *(("ref", ref) for ref in refs)]


def enrolled_apps(repository: Path) -> tuple[str, ...]:
    """Return the apps that this bare repository is enrolled as, in order; () if it is not enrolled."""
    return tuple(refs_by_app(_read(repository)))


def enrols_itself(repository: Path) -> bool:
    """Return whether it was made with the hook in it, and no push has enrolled it yet."""
    return value_of(_read(repository), "app") == ANY


def token_of(repository: Path) -> str:
    """Return the token in this bare repository, "" if it has none: it was never enrolled, or by an older gitdeploy."""
    return value_of(_read(repository), "token")


def refs_by_app(text: bytes) -> dict[str, list[str]]:
    """Return the ref patterns of each app in the text of a gitdeploy.conf, whoever wrote it. Pure."""
    found: dict[str, list[str]] = {}
    refs: list[str] = []
    for line in text.decode("utf-8", "replace").split("\n"):
        key, _, value = line.partition(" ")
        if key == "app" and is_app_name(value) and len(found) < MAX_APPS:
            refs = found.setdefault(value, [])
        elif key == "app":
            refs = []
        elif key == "ref" and value.startswith("refs/") and value.isprintable() and value == value.strip():
            refs.append(value)
    return found


def without_app(text: bytes, app: str) -> bytes:
    """Return the text of a gitdeploy.conf without the lines of this app. Pure."""
    kept: list[bytes] = []
    here = False
    for line in text.splitlines(keepends=True):
        key, _, value = line.strip().partition(b" ")
        here = value == app.encode() if key == b"app" else here
        if not (here and key in (b"app", b"ref")):
            kept.append(line)
    return b"".join(kept)


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
