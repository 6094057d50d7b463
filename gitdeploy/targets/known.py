"""The targets there are: to add one, write its folder and name it here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gitdeploy.config.model import TargetName
from gitdeploy.targets.target import Surroundings, Target


def _docker(around: Surroundings) -> Target:
    from gitdeploy.targets.docker.dockertarget import DockerTarget  # noqa: PLC0415 - nothing is imported before it is needed

    return DockerTarget(around)


def _swarm(around: Surroundings) -> Target:
    from gitdeploy.targets.swarm.swarmtarget import SwarmTarget  # noqa: PLC0415

    return SwarmTarget(around)


DEFAULT: TargetName = "docker"

TARGETS: Mapping[TargetName, Callable[[Surroundings], Target]] = {"docker": _docker, "swarm": _swarm}


def reachable(name: TargetName, around: Surroundings) -> bool:
    """Return whether anything can be on a target; where nothing can, it need not even be imported."""
    return name != "swarm" or around.engine().manages_cluster()


def warm() -> None:
    """Import what bringing releases live needs: before a fork, or while something else is waited for."""
    import gitdeploy.targets.docker.dockerreleases  # noqa: F401, PLC0415
