"""The package's dependencies as files, so that an installation can be tested without the internet."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.guards import REAL_HOME
from tests.support.net import in_machine_network

CHECKOUT = Path(__file__).parent.parent.parent
CONSTRAINTS = CHECKOUT / ".constraints.txt"


def download(cache_directory: Path) -> Path:
    """Return a directory for --wheels, made once, and as install.sh says that people make one."""
    words = recipe(CHECKOUT / "install.sh")
    assert words == recipe(CHECKOUT / "gitdeploy/agent/install.sh")
    key = hashlib.sha256(repr(words).encode() + CONSTRAINTS.read_bytes()).hexdigest()[:12]
    directory = cache_directory / f"wheels-{key}"
    if not directory.exists():
        unfinished = directory.with_suffix(f".{os.getpid()}")
        command = [sys.executable, "-m", *(str(unfinished) if word == "DIR" else word for word in words)]
        quiet = ("--quiet", "--disable-pip-version-check")
        environment = {**os.environ, "HOME": str(REAL_HOME)}  # pip's own settings name its index
        subprocess.run(in_machine_network(*command, *quiet), check=True, cwd=CHECKOUT, env=environment)
        with contextlib.suppress(OSError):  # another process of the same run was faster
            unfinished.rename(directory)
        shutil.rmtree(unfinished, ignore_errors=True)
    return directory


def recipe(script: Path) -> list[str]:
    """Return the words of the command that an install.sh gives for --wheels."""
    (found,) = re.findall("pip download .*", script.read_text())
    return shlex.split(found)
