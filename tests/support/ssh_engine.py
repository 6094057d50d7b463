"""The engine under test behind a real SSH server, as DOCKER_HOST=ssh://… wants it."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitdeploy.engine.dial import Endpoint
from tests.support import dial_stdio
from tests.support.net import DIES_WITH_US, free_port, listens, wait_until
from tests.support.sshd import CLIENT, CONFIG, make_privilege_separation

COMMAND = 'command="{python} {script} {socket}" {key}'


@contextlib.contextmanager
def serve(engine_url: str, directory: Path, patch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Runs the server with its files in `directory`; until the context ends, `ssh` means a client that knows its key."""
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    command = {"python": sys.executable, "script": dial_stdio.__file__, "socket": engine_url.removeprefix("unix://")}
    (directory / "authorized_keys").write_text(COMMAND.format(**command, key=(directory / "user.pub").read_text()))
    (directory / "sshd_config").write_text(CONFIG.format(port=port, directory=directory))
    (directory / "ssh").write_text(f'#!/bin/sh\nPATH={os.environ["PATH"]}\nexec {CLIENT.format(directory=directory)} "$@"\n')
    (directory / "ssh").chmod(0o755)
    patch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    server = [*DIES_WITH_US, "/usr/sbin/sshd", "-D", "-e", "-f", str(directory / "sshd_config")]
    make_privilege_separation()
    with (directory / "sshd.log").open("wb") as log:
        process = subprocess.Popen(server, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(lambda: listens(port), 10, "sshd")
            user = pwd.getpwuid(os.geteuid()).pw_name
            yield Endpoint(f"ssh://{user}@127.0.0.1:{port}", "1.41", "ssh", "127.0.0.1", port, user)
        finally:
            process.terminate()
            process.wait()
