"""How a new release takes over: one file a strategy, each a function from a Rollout to an Outcome."""

from __future__ import annotations

from collections.abc import Callable

from gitdeploy.rollout.context import Outcome, Rollout
from gitdeploy.rollout.recreate import recreate

STRATEGIES: dict[str, Callable[[Rollout], Outcome]] = {
    "recreate": recreate,
}
