"""The repository that the hook is tested in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import hooks
from tests.support.hooks import HookSite

SHELLS = {"dash": ["/bin/dash"], "bash": ["/bin/bash"], "busybox": ["/bin/busybox", "sh"]}


@pytest.fixture(params=SHELLS)
def site(request: pytest.FixtureRequest, open_path: Path) -> HookSite:
    """A repository that deploys main, in a path with a space, once for each shell."""
    made = hooks.create(open_path / "a directory", SHELLS[request.param])
    made.configure("refs/heads/main")
    return made
