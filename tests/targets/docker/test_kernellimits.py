"""A limit that is asked for by name is held, or the deployment does not begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitdeploy.config.model import App
from gitdeploy.config.runoptions import Run
from gitdeploy.errors import StageFailed
from gitdeploy.targets.docker.kernellimits import require_limits
from tests.support.fake_engine import FakeEngine


def test_a_limit_that_the_kernel_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    info = replace(engine.info(), ignored=("run.memory_swap", "run.cpuset"))
    monkeypatch.setattr(engine, "info", lambda: info)
    require_limits(engine, App("o/a", "i", "c", run=Run(memory=1 << 30, memory_swap=-1, cpu_shares=5)))
    with pytest.raises(StageFailed, match=r"^run\.cpuset, run\.memory_swap: this engine's kernel holds no such limit"):
        require_limits(engine, App("o/a", "i", "c", run=Run(memory=1 << 30, memory_swap=2 << 30, cpuset="0")))
