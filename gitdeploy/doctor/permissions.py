"""Files as they lie there: what they are, whose, and who else may read or write them."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from gitdeploy.doctor.finding import Finding
from gitdeploy.gitserver.hookconf import Mode

SHOWN = 3
"""Paths that are listed where many have the same fault."""

Kind = Literal["file", "directory", "missing", "symlink", "other", "unreadable"]


@dataclass(frozen=True)
class FileFacts:
    """One path.

    Attributes:
        reason: why it cannot be read, else "".
        mode: its permission bits.
        data: the beginning of what is in it; of files that were read only.
        mtime_ns: when it was written, in nanoseconds since the epoch.
    """

    path: Path
    kind: Kind
    reason: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    data: bytes = b""
    mtime_ns: int = 0

    @property
    def problem(self) -> str:
        """Why it is not the readable file that it should be, "" if it is one."""
        return {
            "file": "",
            "missing": "is missing",
            "symlink": "is a symbolic link, and whatever it names may change",
            "unreadable": f"cannot be read ({self.reason})",
        }.get(self.kind, "is no file")

    @property
    def remove(self) -> str:
        """The beginning of a command line that makes room for a file, "" where one may be written over it."""
        return f"rm -r {self.path} && " if self.kind in ("symlink", "directory", "other") else ""


def examine_files(home: Path, shared: Path, mode: Mode, server: User | None) -> Iterator[Finding]:
    """Look at the gitdeploy directory; `server` is the user that the Git server runs as, None if that is not known.

    `shared` is where hooks find the spool. In direct mode the worker runs as that user. An agent has files of its own,
    but for the spool.
    """
    found = look_at_installation(home)
    direct = mode == "direct"
    owner = server if direct and server else User(found[0].uid, found[0].gid)
    own = found if direct else [file for file in found if file.path != home / "spool"]
    problems = [*judge_owners(own, owner, home), *judge_modes(found, home)]
    if server:
        problems += judge_access(look_at_file(shared), look_at_file(shared / "spool"), server.uid)
    if direct:
        noexec = bool(os.statvfs(home).f_flag & os.ST_NOEXEC)
        problems += judge_program(look_at_file(home / "bin" / "gitdeploy"), noexec)
    whose = f"{home} belongs to {user_name(owner.uid)}, and nobody else may write it"
    yield from problems or [Finding("ok", "owner", whose)]


class User(NamedTuple):
    """A user with their group, by number."""

    uid: int
    gid: int


def look_at_file(path: Path, limit: int = 0) -> FileFacts:
    """Look at a path without following a link, reading at most `limit` bytes of a regular file. Never raises OSError."""
    data = b""
    try:
        facts = path.lstat()
        if stat.S_ISREG(facts.st_mode) and limit:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                data = file.read(limit)
    except (FileNotFoundError, NotADirectoryError):
        return FileFacts(path, "missing")
    except OSError as error:
        return FileFacts(path, "unreadable", str(error.strerror))
    kinds: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
    kind = kinds.get(stat.S_IFMT(facts.st_mode), "other")
    mode = stat.S_IMODE(facts.st_mode)
    return FileFacts(path, kind, "", mode, facts.st_uid, facts.st_gid, data, facts.st_mtime_ns)


def look_at_installation(home: Path) -> list[FileFacts]:
    """Return what lies in the gitdeploy directory, without what is below spool/ and lib/. Never raises OSError."""
    below = ("*", "bin/*", "logs/*", "logs/*/*", "locks/*", "locks/*/*", "secrets/*")
    found = [path for pattern in below for path in _glob(home, pattern)]
    return [look_at_file(path) for path in (home, *found)]


def _glob(home: Path, pattern: str) -> list[Path]:
    try:
        return sorted(home.glob(pattern))
    except OSError:  # a directory of somebody else, which is told by itself
        return []


def judge_owners(files: Iterable[FileFacts], owner: User, home: Path) -> Iterator[Finding]:
    """Yield what does not belong to the user of the installation, who could not write it. Pure."""
    foreign = [file for file in files if file.kind not in ("missing", "unreadable") and file.uid != owner.uid]
    if foreign:
        users = ", ".join(sorted({user_name(file.uid) for file in foreign}))
        found = f"{_listed(foreign)}: expected owner {user_name(owner.uid)}, found {users}"
        yield Finding("error", "owner", found, f"chown -hR {owner.uid}:{owner.gid} {home}")
    hidden = [file for file in files if file.kind == "unreadable"]
    if hidden:
        yield Finding(
            "error", "owner", f"{_listed(hidden)} cannot be looked at: {hidden[0].reason}", f"check the owner of {home}"
        )


def judge_access(home: FileFacts, spool: FileFacts, server: int) -> Iterator[Finding]:
    """Yield whether the Git server's user, whom the hook runs as, can put a push into the spool. Pure."""
    if not _may(home, server, 0o1):
        found = f"{home.path} cannot be entered by the Git server's user {user_name(server)} (mode {home.mode:o})"
        yield Finding("error", "spool", found, f"chmod 711 {home.path}")
    if spool.kind != "directory" or not _may(spool, server, 0o3):
        found = f"{spool.path} cannot be written by the Git server's user {user_name(server)}: pushes are not recorded"
        yield Finding("error", "spool", found, f"chown {server} {spool.path} && chmod 700 {spool.path}")


def _may(file: FileFacts, user: int, bits: int) -> bool:
    """Return whether the user has these permissions (of rwx), groups aside."""
    return user == 0 or (file.mode >> (6 if file.uid == user else 0)) & bits == bits


def judge_program(program: FileFacts, noexec: bool) -> Iterator[Finding]:
    """Yield whether the hook can start a worker. Pure."""
    if program.kind != "file" or program.mode & 0o100 == 0:
        found = f"{program.path} {program.problem or 'is not executable'}: the hook cannot start a worker"
        yield Finding("error", "program", found, "run install.sh again")
    if noexec:
        found = f"{program.path} is on a file system mounted noexec: the hook cannot start a worker"
        yield Finding("error", "program", found, f"mount it without noexec; this shows what it is: findmnt -T {program.path}")


def judge_modes(files: Iterable[FileFacts], home: Path) -> Iterator[Finding]:
    """Yield what others may write, and what they may read of that which holds secrets or the output of builds. Pure.

    Of config.toml, the config tells.
    """
    own = [file for file in files if file.kind in ("file", "directory") and file.path != home / "config.toml"]
    writable = [file for file in own if file.mode & 0o022]
    if writable:
        found = f"{_listed(writable)} can be written by others, who could run commands as this installation's user"
        yield Finding("error", "modes", found, f"chmod -R go-w {home}")
    private = ("spool", "logs", "locks", "secrets", "state.db", "audit.jsonl")
    readable = [
        file
        for file in own
        if file.path.parent == home and file.path.name.startswith(private) and file.mode & 0o077 and not file.mode & 0o022
    ]
    if readable:
        paths = " ".join(str(file.path) for file in readable)
        yield Finding("warning", "modes", f"{_listed(readable)} can be read by others", f"chmod go= {paths}")


def _listed(files: list[FileFacts]) -> str:
    paths = ", ".join(str(file.path) for file in files[:SHOWN])
    return paths + (f" and {len(files) - SHOWN} more" if len(files) > SHOWN else "")


def user_name(uid: int) -> str:
    """Return the user's name and number; the number alone where this machine knows no name."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return str(uid)
