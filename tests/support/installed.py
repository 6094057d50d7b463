"""gitdeploy in a Gogs data directory, running this checkout's code, as install.sh leaves it but without waiting for pip."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.cli import main
from tests.support.gogs import Gogs

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """An installation.

    Attributes:
        gogs: the data directory it is in.
        environ: what its command line gets on top of the environment, for example DOCKER_CONFIG.
    """

    gogs: Gogs
    environ: Mapping[str, str]

    @property
    def home(self) -> Path:
        """DIR/gitdeploy."""
        return self.gogs.data / "gitdeploy"

    def run(self, *arguments: str, check: int | None = 0, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs bin/gitdeploy; its exit status must be `check`, unless that is None."""
        done = subprocess.run(
            [self.home / "bin" / "gitdeploy", *arguments],
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert check is None or done.returncode == check, f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def within(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """What `run` does, within this process: its exit status and standard output. Python takes its time to start."""
        assert self.home.stat().st_uid == os.geteuid(), "the command line goes on as the owner, and so would this process"
        umask = os.umask(0o022)
        try:
            with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
                for key, value in {**self.environ, "GITDEPLOY_HOME": str(self.home), **environ}.items():
                    patch.setenv(key, value)
                status = main(arguments)
        finally:
            os.umask(umask)
        return status, out.getvalue()

    def enrol(self, name: str, image: str, port: int, extra: str = "", **keys: str) -> None:
        """Makes the repository and enrols it; `extra` is TOML below the app's table, `keys` are options of `enrol`."""
        self.gogs.create_repository(name)
        options = [part for key, value in keys.items() for part in (f"--{key}", value)]
        status, said = self.within("enrol", name, "--image", image, "--publish", f"127.0.0.1:{port}:80", *options)
        assert status == 0, said
        if extra:
            self.configure(extra)

    def configure(self, text: str) -> None:
        """Adds text to the end of config.toml."""
        with (self.home / "config.toml").open("a") as file:
            file.write(text)

    def workers(self) -> list[int]:
        """Process ids of this installation's workers. One may outlive the push, for a moment or for blue-green's `hold`."""
        ours = f"GITDEPLOY_HOME={self.home}".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):  # ended meanwhile
                if ours in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
        return found

    def kill_workers(self) -> None:
        """kill -9 of all workers of this installation; there may be none."""
        for pid in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def history(self, app: str) -> list[dict[str, Any]]:
        """The app's deployments, newest first."""
        status, said = self.within("history", app.lower(), "--json")
        assert status == 0, said
        found: list[dict[str, Any]] = json.loads(said)
        return found


def install(gogs: Gogs, environ: Mapping[str, str], within: Sequence[str] = ()) -> Installed:
    """Puts a gitdeploy that runs this checkout into the data directory; `within` is a command's prefix, as of nsenter(1)."""
    home = gogs.data / "gitdeploy"
    for name in ("bin", "spool", "logs"):
        (home / name).mkdir(mode=0o700, parents=True)
    script = home / "bin" / "gitdeploy"
    python = shlex.join([*within, sys.executable])
    lines = [
        "#!/bin/sh",
        f"GITDEPLOY_HOME='{home}' PYTHONPATH='{CHECKOUT}' exec {python} -s -P -m gitdeploy \"$@\"",
    ]
    script.write_text("\n".join([*lines, ""]))
    script.chmod(0o755)
    return Installed(gogs, environ)
