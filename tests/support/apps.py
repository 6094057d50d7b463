"""The application that the tests deploy (tests/support/sample_app), in a clone to commit to and push from."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.gogs import Remote

TEMPLATE = Path(__file__).with_name("sample_app")


@dataclass(frozen=True)
class Push:
    """What the pusher saw.

    Attributes:
        code: exit code of `git push`.
        text: all its output, `remote: ` in front of what the hook said.
        seconds: how long it took.
    """

    code: int
    text: str
    seconds: float


@dataclass(frozen=True)
class SampleApp:
    """A working clone of the application."""

    path: Path

    def release(self, version: str, files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Commits VERSION and these files (None removes one); returns the commit id. Nothing is pushed."""
        contents: dict[str, str | bytes | None] = {"VERSION": f"{version}\n", **(files or {})}
        for name, content in contents.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Release {version}")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """Runs git in the clone and returns its output without the last newline; raises CalledProcessError."""
        command = ["git", "-C", str(self.path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")

    def start_push(self, remote: Remote, *refs: str, options: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Starts `git push` (of main, if no `refs` are given) with these push options; its stderr is the pusher's terminal."""
        command = ["git", "-C", str(self.path), "push", *(f"--push-option={option}" for option in options), remote.url]
        return subprocess.Popen(
            [*command, *(refs or ("main",))],
            env={**os.environ, **remote.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def push(self, remote: Remote, *refs: str, options: Sequence[str] = (), timeout: float = 120) -> Push:
        """`git push`, waited for; raises subprocess.TimeoutExpired, and then kills it, after `timeout` seconds."""
        began = time.monotonic()
        with self.start_push(remote, *refs, options=options) as process:
            try:
                text, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Push(process.returncode, text, time.monotonic() - began)


def create(path: Path) -> SampleApp:
    """Makes the clone, with nothing committed."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", path], check=True)
    shutil.copytree(TEMPLATE, path, dirs_exist_ok=True)
    return SampleApp(path)
