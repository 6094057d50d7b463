"""A target on an engine of the tests'."""

from __future__ import annotations

import time

from gitdeploy.engine.protocol import Engine
from gitdeploy.targets.byapp import TargetByApp
from gitdeploy.targets.target import Here, Surroundings, Target


def target_on(engine: Engine) -> Target:
    """The target that apps have if nothing else is said."""
    return TargetByApp(Surroundings(lambda: engine, lambda _: lambda _: None, Here(), time.time, time.monotonic))
