"""How a new release takes over from the old one beside it, and all processes of an app together: without a word of how.

Each strategy is a function of `SideBySide`, which every target has for itself; what cannot run twice is a target's own affair.
May import what is pure of `targets/`, `config`, `engine.types` and `releases`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gitdeploy.targets.strategies.blue_green import blue_green
from gitdeploy.targets.strategies.canary import canary
from gitdeploy.targets.strategies.rolling import rolling
from gitdeploy.targets.strategies.sidebyside import SideBySide
from gitdeploy.targets.target import Outcome

Overlapping = Callable[[SideBySide[Any]], Outcome]

OVERLAPPING: Mapping[str, Overlapping] = {"rolling": rolling, "blue-green": blue_green, "canary": canary}
"""The strategies that let old and new overlap."""
