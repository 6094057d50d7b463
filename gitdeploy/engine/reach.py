"""Why the Docker Engine cannot be reached, and what to do about it."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from gitdeploy.errors import EngineGone, UnfitError

START = "start it (`systemctl start docker`), or name another one in DOCKER_HOST"


def unreachable(host: str, error: BaseException) -> UnfitError:
    """Return the error for a connection to `host` ("unix:///…", "tcp://…") that failed with `error`, with what to do."""
    cause = _cause(error)
    if isinstance(cause, PermissionError):
        return _forbidden(host, Path(host.removeprefix("unix://")))
    failures: tuple[tuple[type[OSError], str, str], ...] = (
        (FileNotFoundError, "no Docker Engine at {}: there is no such socket", START),
        (ConnectionRefusedError, "no Docker Engine at {}: nothing listens there", START),
        (TimeoutError, "no Docker Engine at {}: no answer", "check DOCKER_HOST and the network between"),
        (socket.gaierror, "no Docker Engine at {}: no host of that name is known", "check DOCKER_HOST"),
        (ssl.SSLError, "no TLS connection to the Docker Engine at {}", "check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"),
        (OSError, "the connection to the Docker Engine at {} broke", "see whether it still runs: `systemctl status docker`"),
    )
    text, hint = next((text, hint) for kind, text, hint in failures if isinstance(cause, kind))
    return EngineGone(f"{text.format(host)} ({cause})", hint)


def _cause(error: BaseException) -> OSError:
    """Return the operating system's error below what requests and urllib3 made of it."""
    for found in _below(error, set()):
        if isinstance(found, TimeoutError) or (isinstance(found, OSError) and found.errno is not None):
            return found
    return OSError(str(error))


def _below(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for inner in (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__):
        if isinstance(inner, BaseException):
            yield from _below(inner, seen)


def _forbidden(host: str, path: Path) -> UnfitError:
    user = _user(os.geteuid())
    reason = f"the user {user} may not use the Docker Engine at {host}"
    try:
        socket_file = path.stat()
    except OSError:
        return UnfitError(reason, f"let {user} into {path.parent}")
    gid = socket_file.st_gid
    owners = f"owner {_user(socket_file.st_uid)}, group {_group(gid)}, mode {socket_file.st_mode & 0o777:o}"
    hint = f"put the user into its group: `usermod -aG {_group(gid)} {user}`, or `--group-add {gid}` for a container"
    return UnfitError(f"{reason} ({owners})", f"{hint}; then start the Git server again")


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
