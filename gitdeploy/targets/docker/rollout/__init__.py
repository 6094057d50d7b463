"""How a new release takes over: one file a strategy, each a function from a Rollout to an Outcome."""

from __future__ import annotations

from collections.abc import Callable

from gitdeploy.targets.docker.rollout.blue_green import blue_green
from gitdeploy.targets.docker.rollout.canary import canary
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.recreate import recreate
from gitdeploy.targets.docker.rollout.rolling import rolling
from gitdeploy.targets.target import Outcome

STRATEGIES: dict[str, Callable[[Rollout], Outcome]] = {
    "recreate": recreate,
    "rolling": rolling,
    "blue-green": blue_green,
    "canary": canary,
}
