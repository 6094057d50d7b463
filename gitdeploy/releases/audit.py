"""HOME/audit.jsonl: who asked for what and what came of it, one JSON object a line, only ever added to.

Each line is one write(2) to a file opened with O_APPEND, made durable before anything goes on. A crash may tear the last line;
the next one begins a line of its own, and readers skip what is no JSON.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from gitdeploy.locks import lock_within

FILE = "audit.jsonl"

LOCK_PATIENCE = 10.0
"""Seconds for the other writers, which take a moment each; then a line is written without the lock, for it matters more."""

LONGEST = 300
"""Characters of one field: whatever a pusher writes, a line stays one line of bounded length."""

TAIL = 256 * 1024
"""Bytes at the end of the file in which the config that was audited last is looked for."""


@dataclass(frozen=True)
class AuditEntry:
    """One line.

    Attributes:
        how: push, move, deploy, rollback, cancel, enrol, remove, prune, config, or another verb of the command line.
        verdict: how it ended, as in the history; "dropped" where nothing is deployed for a push; "asked" and "done" of the
            command line; "first seen" of a config.toml.
        who: the pusher as the Git server says it, or the user of the command line.
        uid: the operating system's number of that user, -1 for a pusher.
        app: "owner/repo", "" for all.
        old: the commit that the ref had before, "" if that is not known.
        new: the commit that it concerns.
        image: the image's id on the engine.
        digest: of the image in the registry.
        config: SHA-256 of the effective configuration, as the history keeps it.
        config_toml: SHA-256 of the file, as far as it was read for this.
        deployment: its id, 0 for none.
        record: name of the push record.
        reason: why, in our words; of run and exec, the program.
    """

    how: str
    verdict: str
    who: str = ""
    uid: int = -1
    app: str = ""
    ref: str = ""
    old: str = ""
    new: str = ""
    version: str = ""
    image: str = ""
    digest: str = ""
    config: str = ""
    config_toml: str = ""
    deployment: int = 0
    record: str = ""
    stage: str = ""
    reason: str = ""


def render(entry: AuditEntry, now: float, hide: Callable[[str], str] = str) -> bytes:
    """Return the line: ASCII, fields that are empty left out, each cut at LONGEST characters and without secrets. Pure.

    Args:
        now: seconds since the epoch.
        hide: takes secrets out of a text.
    """
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    fields: dict[str, object] = {"time": moment}
    for name, value in asdict(entry).items():
        if value not in ("", 0) and (name, value) != ("uid", -1):
            fields[name] = " ".join(hide(value).split())[:LONGEST] if isinstance(value, str) else value
    return json.dumps({**fields, "uid": entry.uid} if entry.uid >= 0 else fields).encode("ascii") + b"\n"


def last_config(tail: bytes) -> str:
    """Return the hash of the config.toml that the end of the file names last, "" if it names none. Pure."""
    for line in reversed(tail.splitlines()):
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, Mapping) and entry.get("config_toml"):
                return str(entry["config_toml"])
    return ""


def digest(data: bytes | str) -> str:
    """Return SHA-256 in hexadecimal; "" of nothing. Pure."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return hashlib.sha256(raw).hexdigest() if raw else ""


class AuditLog:
    """Writes the lines. A line that cannot be written is told to `failed` and stops nothing."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float],
        failed: Callable[[str], None],
        hide: Callable[[str], str] = str,
    ) -> None:
        self._path = path
        self._now = now
        self._failed = failed
        self._hide = hide

    def write(self, entry: AuditEntry) -> None:
        """Append one line."""
        with self._told(), _opened(self._path) as fd:
            self._append(fd, entry)

    def see_config(self, config_toml: str) -> None:
        """Append a line if config.toml, whose hash this is, is not the one that was audited last: somebody has edited it."""
        with self._told(), _opened(self._path) as fd:
            size = os.fstat(fd).st_size
            if config_toml and last_config(os.pread(fd, TAIL, max(0, size - TAIL))) != config_toml:
                self._append(fd, AuditEntry("config", "first seen", config_toml=config_toml))

    def _append(self, fd: int, entry: AuditEntry) -> None:
        lock_within(fd, LOCK_PATIENCE)
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        os.write(fd, b"\n" * torn + render(entry, self._now(), self._hide))
        os.fsync(fd)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            self._failed(f"{self._path} cannot be written: {error}")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the file, made 0600; a regular file only. Raises OSError."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError("expected a regular file")
        yield fd
    finally:
        os.close(fd)
