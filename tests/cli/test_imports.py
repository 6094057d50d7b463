"""What commands and workers do not import, for it takes longer than what they do with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support import gogs
from tests.support.installed import CHECKOUT, install

PACKAGES = {"asyncio", "docker", "dulwich", "h2", "loguru", "requests", "toml"}
SLOW = {"difflib", "email", "hashlib", "http", "logging", "random", "secrets", "socket", "subprocess", "traceback"}


def imported(code: str, home: Path | None = None) -> set[str]:
    """The modules that are there when a process has run this code."""
    code = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), **({"GITDEPLOY_HOME": str(home)} if home else {})}
    done = subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True)
    return set(done.stderr.split())


def below(modules: set[str], *beginnings: str) -> set[str]:
    """Those of the modules whose names begin so."""
    return {name for name in modules if name.startswith(beginnings)}


def test_status_imports_no_package_where_no_engine_is_asked(tmp_path: Path) -> None:
    site = install(gogs.create(tmp_path / "data"), {})
    site.enrol("o/app", "o/app", 8080)
    there = imported("from gitdeploy.cli import main\nassert main(['status']) == 0", site.home)
    assert there & (PACKAGES | SLOW) == set()
    assert below(there, "gitdeploy.source.", "gitdeploy.targets.", "gitdeploy.gitserver.g") == set()


def test_a_worker_that_has_a_push_reads_it_before_it_imports_what_builds() -> None:
    there = imported("import gitdeploy.worker.appworker, gitdeploy.worker.readers, gitdeploy.targets.known")
    assert there & {"docker", "dulwich", "h2", "requests"} == set()
    assert below(there, "gitdeploy.gitserver.newcomers", "gitdeploy.engine.buildkit", "gitdeploy.targets.docker.r") == set()


def test_a_command_beside_an_app_or_within_it_imports_no_strategy() -> None:
    there = imported("import gitdeploy.cli.run, gitdeploy.cli.exec, gitdeploy.targets.docker.dockertarget")
    assert "gitdeploy.targets.docker.oneoff" in there
    assert there & (PACKAGES | {"difflib", "email", "http", "socket"}) == set()
    assert below(there, "gitdeploy.source", "gitdeploy.pipeline") == set()
    assert below(there, "gitdeploy.targets.docker.r") == set()
    there = imported("import gitdeploy.targets.docker.rollout.serving")
    assert below(there, *(f"gitdeploy.targets.docker.rollout.{name}" for name in ("overlap", "str", "together"))) == set()


def test_an_agent_has_imported_what_a_deployment_needs_before_it_forks() -> None:
    there = imported("from gitdeploy.cli.worker import _warm_up\n_warm_up()")
    assert {"docker", "h2", "loguru", "gitdeploy.engine.buildkit", "gitdeploy.targets.docker.rollout.strategies"} <= there
    assert "dulwich" not in there
