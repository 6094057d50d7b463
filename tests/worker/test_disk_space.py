"""How much must be free, on the disk of the installation and on the engine's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from gitdeploy.engine.client import connect
from gitdeploy.engine.types import EngineInfo
from gitdeploy.errors import UnfitError
from gitdeploy.worker.limits import require_space
from gitdeploy.worker.site import Site


@dataclass(frozen=True)
class Home:
    """As much of a site as is asked for."""

    home: Path


def site(home: Path) -> Site:
    return cast(Any, Home(home))


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    path = tmp_path / "tiny"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def engine(root: Path, *, local: bool) -> EngineInfo:
    return EngineInfo("28", "1.51", "overlay2", buildkit=True, root=str(root), local=local)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_the_disks_of_both_are_looked_at(tmp_path: Path, tiny: Path) -> None:
    require_space(site(tmp_path), 2_000_000)
    require_space(site(tmp_path), 500_000, engine(tiny, local=True))
    with pytest.raises(UnfitError, match=r"the disk of /\S+/tiny has 1 MB free, less than the 2 MB of server.min_free"):
        require_space(site(tiny), 2_000_000)
    with pytest.raises(UnfitError, match=r"the disk of the Docker Engine \(/\S+/tiny\) has 1 MB free"):
        require_space(site(tmp_path), 2_000_000, engine(tiny, local=True))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_nothing_is_said_about_a_disk_that_is_elsewhere(tmp_path: Path, tiny: Path) -> None:
    require_space(site(tmp_path), 2_000_000, engine(tiny, local=False))
    require_space(site(tmp_path), 2_000_000, engine(tiny / "not-mounted-here", local=True))


def test_the_engine_says_where_its_disk_is(engine_url: str) -> None:
    client = connect({"DOCKER_HOST": engine_url})
    info = client.info()
    client.close()
    assert info.local == engine_url.startswith("unix://")
    assert not info.local or Path(info.root).is_dir()
