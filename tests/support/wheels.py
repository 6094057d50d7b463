"""The package's dependencies as files, so that an installation can be tested without the internet."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.guards import REAL_HOME
from tests.support.net import in_machine_network

CHECKOUT = Path(__file__).parent.parent.parent
CONSTRAINTS = CHECKOUT / ".constraints.txt"


def download(cache_directory: Path) -> Path:
    """A directory with all that an installation needs, in the pinned versions, for `pip --no-index`; fetched once."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    requirements: list[str] = project["project"]["dependencies"] + project["build-system"]["requires"]
    key = hashlib.sha256(repr(requirements).encode() + CONSTRAINTS.read_bytes()).hexdigest()[:12]
    directory = cache_directory / f"wheels-{key}"
    if not directory.exists():
        unfinished = directory.with_suffix(f".{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(unfinished)]
        command = in_machine_network(*pip, "--constraint", str(CONSTRAINTS), *requirements)
        subprocess.run(command, check=True, env={**os.environ, "HOME": str(REAL_HOME)})  # pip's own settings name its index
        with contextlib.suppress(OSError):  # another process of the same run was faster
            unfinished.rename(directory)
        shutil.rmtree(unfinished, ignore_errors=True)
    return directory
