"""The Docker Engine: whether it answers, and who may command it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.doctor.finding import Finding
from gitdeploy.doctor.permissions import user_name
from gitdeploy.engine.types import EngineInfo

USUAL = ("run.memory", "run.cpus", "run.pids_limit")
"""Limits that matter whether an app asks for them or not; a deployment that asks for another one tells by itself."""


def examine_engine(info: EngineInfo, host: str) -> Iterator[Finding]:
    """Tell of the engine that answers at `host`, and look at its socket."""
    yield from judge_engine(host, info, look_at_socket(host), os.geteuid())


@dataclass(frozen=True)
class Socket:
    """A Unix socket: whose it is; `mode` is its permission bits."""

    path: Path
    uid: int
    group: str
    mode: int


def look_at_socket(host: str) -> Socket | None:
    """Return the socket of DOCKER_HOST ("unix:///…"), None if there is none or it cannot be seen."""
    path = Path(host.removeprefix("unix://"))
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    return Socket(path, facts.st_uid, _group(path), stat.S_IMODE(facts.st_mode)) if stat.S_ISSOCK(facts.st_mode) else None


def _group(path: Path) -> str:
    try:
        return f"{path.group()} ({path.stat().st_gid})"
    except KeyError:  # a group of the host that a container does not know
        return str(path.stat().st_gid)


def judge_engine(host: str, info: EngineInfo, socket: Socket | None, user: int) -> Iterator[Finding]:
    """Yield what answered at `host`, and who else may command it; `user` is the one that this process runs as. Pure."""
    builder = "BuildKit" if info.buildkit else "the classic builder"
    version = f"Docker Engine {info.version} (API {info.api_version}) at {host}, {info.storage}, builds with {builder}"
    yield Finding("ok", "engine", version)
    if ignored := [key for key in info.ignored if key in USUAL]:
        found = f"this engine's kernel holds no limit for {', '.join(ignored)}: containers run without it"
        yield Finding("warning", "engine", found, "see `docker info`: the kernel needs the memory, cpu and pids controllers")
    if socket is None:
        return
    whose = f"{socket.path}: owner {user_name(socket.uid)}, group {socket.group}, mode {socket.mode:o}"
    if socket.mode & 0o002:
        found = f"every user of this machine may command the engine, which is as good as root ({whose})"
        yield Finding("error", "socket", found, f"chmod o= {socket.path}, and put the users who may into its group")
    else:
        yield Finding("ok", "socket", f"{user_name(user)} may use it; {whose}")
