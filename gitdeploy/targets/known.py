"""The targets there are: to add one, write its folder and name it here. Nothing selects any but DEFAULT yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gitdeploy.targets.docker.dockertarget import DockerTarget
from gitdeploy.targets.target import Surroundings, Target

DEFAULT = "docker"

TARGETS: Mapping[str, Callable[[Surroundings], Target]] = {"docker": DockerTarget}
