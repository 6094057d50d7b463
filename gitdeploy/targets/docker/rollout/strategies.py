"""The strategies on a Docker Engine: those that all targets have, and recreate."""

from __future__ import annotations

from collections.abc import Callable

from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.overlap import Overlap
from gitdeploy.targets.docker.rollout.recreate import recreate
from gitdeploy.targets.strategies import OVERLAPPING, Overlapping
from gitdeploy.targets.target import Outcome


def _beside(strategy: Overlapping) -> Callable[[Rollout], Outcome]:
    return lambda r: strategy(Overlap(r))


STRATEGIES: dict[str, Callable[[Rollout], Outcome]] = {
    "recreate": recreate,
    **{name: _beside(strategy) for name, strategy in OVERLAPPING.items()},
}
