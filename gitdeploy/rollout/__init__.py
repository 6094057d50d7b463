"""How a new release takes over: one file a strategy, each a function from a Rollout to an Outcome."""

from __future__ import annotations

from collections.abc import Callable

from gitdeploy.rollout.blue_green import blue_green
from gitdeploy.rollout.canary import canary
from gitdeploy.rollout.context import Outcome, Rollout
from gitdeploy.rollout.recreate import recreate
from gitdeploy.rollout.rolling import rolling

STRATEGIES: dict[str, Callable[[Rollout], Outcome]] = {
    "recreate": recreate,
    "rolling": rolling,
    "blue-green": blue_green,
    "canary": canary,
}
