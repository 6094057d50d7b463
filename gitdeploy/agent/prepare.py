"""The agent's directories: its own, and the spool in the Git server's data directory.

Whoever has broken into the Git server can write its whole data directory: rename directories, plant links, pipes and records.
So config.toml, state.db, logs and locks lie in a home that only the agent has, and the only thing it shares is the spool, of
which every file is checked (gitdeploy.intake). A forged record can deploy what a push could deploy.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from gitdeploy.errors import UnfitError
from gitdeploy.gitserver.gitserver import has_server, read_server
from gitdeploy.gitserver.ownedfiles import make_directory, open_directory

AGENT_VERSION = "agent.version"
"""File in the agent's home that holds its version; written at its start, touched while it lives."""


def prepare(home: Path, data: Path) -> None:
    """Make both directories unless they are there.

    Args:
        home: the agent's own, on a volume that no Git server mounts.
        data: the Git server's data directory.

    Raises:
        UnfitError: the Git server is not set up yet, the home is open to it, or the way to the spool leads through a link.
    """
    if home.resolve().is_relative_to(data.resolve()):
        reason = f"the agent's directory {home} is in the Git server's data directory {data}"
        raise UnfitError(reason, "give the agent a directory of its own, and set GITDEPLOY_HOME to it")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = home.stat()
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        reason = f"the agent's directory {home} belongs to user {facts.st_uid}, or others can write it"
        raise UnfitError(reason, f"chown {os.geteuid()} {home} && chmod 700 {home}")
    if not data.is_dir():
        raise UnfitError(f"the Git server's data directory {data} does not exist", "mount it there, or set GITDEPLOY_DATA")
    if not any(data.iterdir()):
        # Docker fills a new volume from the first image that has something at its place: that must be the Git server's.
        reason = f"the Git server's data directory {data} is empty"
        raise UnfitError(reason, "start the Git server; if it keeps its data elsewhere, mount that, or set GITDEPLOY_DATA")
    gitserver = read_server(data) if has_server(data) else None
    if gitserver and gitserver.root.resolve().is_relative_to(home.resolve()):
        reason = f"app.ini's [repository] ROOT is in the agent's directory {home}"
        raise UnfitError(reason, "let ROOT name the directory that the Git server keeps its repositories in")
    server = gitserver.owner if gitserver else data.stat()
    try:
        with ExitStack() as opened:
            directory = open_directory(data, data)
            opened.callback(os.close, directory)
            shared = make_directory(directory, "gitdeploy", 0o755, facts)
            opened.callback(os.close, shared)
            spool = make_directory(shared, "spool", 0o700, server)
            opened.callback(os.close, spool)
            if os.geteuid() == 0 and os.fstat(spool).st_uid != server.st_uid:
                os.fchown(spool, server.st_uid, server.st_gid)
    except OSError as error:
        reason = f"{data / 'gitdeploy' / 'spool'} cannot be made or opened: {error.strerror}"
        raise UnfitError(reason, "it must consist of directories, not links") from error
