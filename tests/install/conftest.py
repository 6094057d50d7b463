"""install.sh, run as a person runs it, into Gogs data directories of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import gogs as directories
from tests.support.gogs import Gogs

CHECKOUT = Path(__file__).parents[2]


@dataclass
class Installer:
    """Runs install.sh.

    Attributes:
        script: install.sh, of this checkout or of a copy.
        wheels: the dependencies as files.
        environ: on top of the environment; no test sets up a timer on this machine.
    """

    script: Path
    wheels: Path
    environ: dict[str, str] = field(default_factory=lambda: {"GITDEPLOY_ROOT": "/nonexistent"})

    def start(self, *arguments: object, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Starts it with these arguments."""
        return subprocess.Popen(
            [*prefix, str(self.script), *(str(argument) for argument in arguments)],
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: object, check: int | None = 0, prefix: Sequence[str] = ()) -> str:
        """Runs it with these arguments; its exit status must be `check`. Returns all it says."""
        with self.start(*arguments, prefix=prefix) as process:
            text, _ = process.communicate(timeout=240)
        assert check is None or process.returncode == check, f"exit {process.returncode}\n{text}"
        return text

    def install(self, data: Path, *arguments: object, check: int | None = 0, prefix: Sequence[str] = ()) -> str:
        """The same into a data directory, without a network."""
        return self.run("--data", data, "--wheels", self.wheels, *arguments, check=check, prefix=prefix)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what install.sh installs, which nobody edits meanwhile; only the user of the tests can read it."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("install.sh", "pyproject.toml", ".constraints.txt"):
        shutil.copy2(CHECKOUT / name, copy)
    for name in ("gitdeploy", "hooks"):
        shutil.copytree(CHECKOUT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def installer(checkout: Path, wheels: Path) -> Installer:
    """install.sh of this checkout."""
    return Installer(checkout / "install.sh", wheels)


@pytest.fixture(scope="session")
def installed_program(checkout: Path, wheels: Path) -> Iterator[Path]:
    """A gitdeploy directory with the installed program and nothing else, made once: pip takes its time."""
    with tempfile.TemporaryDirectory(prefix="gitdeploy-test-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        gogs = directories.create(directory / "data", owner=1000)
        Installer(checkout / "install.sh", wheels).install(gogs.data)
        home = gogs.data / "gitdeploy"
        for path in home.iterdir():
            if not path.name.startswith("lib"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield home


@pytest.fixture
def gogs(gogs_dir_of_git: Gogs) -> Gogs:
    """A data directory of user 1000 with Devops/Dev-App and Devops/Other; install.sh has never seen it."""
    for name in ("Devops/Dev-App", "Devops/Other"):
        gogs_dir_of_git.create_repository(name)
    return gogs_dir_of_git


@pytest.fixture
def prepared(gogs: Gogs, installed_program: Path) -> Gogs:
    """The same with the program in place, so that install.sh need not run pip."""
    subprocess.run(["cp", "-a", installed_program, gogs.data / "gitdeploy"], check=True)
    return gogs
