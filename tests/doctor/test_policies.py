"""What would stay down after a crash of the engine."""

from __future__ import annotations

import pytest

from gitdeploy.config.model import App
from gitdeploy.doctor.policies import judge_policies
from gitdeploy.engine.types import Container

APPS = {"o/r": App("o/r", "r", "r"), "o/s": App("o/s", "s", "s", restart="unless-stopped")}


@pytest.mark.parametrize(
    ("owner", "state", "restart", "told"),
    [
        ("o/r", "running", "unless-stopped", True),
        ("o/r", "running", "always", False),
        ("o/r", "exited", "unless-stopped", False),
        ("o/s", "running", "unless-stopped", False),  # config.toml says so
        ("o/gone", "running", "unless-stopped", False),
    ],
)
def test_an_old_policy_is_told(owner: str, state: str, restart: str, told: bool) -> None:
    container = Container("1", "r.1.1", "i", "i", {"gitdeploy.app": owner}, state, restart=restart)
    found = list(judge_policies([container], APPS))
    assert [finding.level for finding in found] == ["warning"] * told
    if told:
        assert "docker update --restart always r.1.1" in found[0].fix
