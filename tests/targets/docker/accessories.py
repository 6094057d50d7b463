"""Accessories as containers of an engine, which are the same for each kind of target that has them there."""

from __future__ import annotations

from threading import Event
from typing import Any

import docker
import pytest

from gitdeploy.engine.protocol import Engine
from gitdeploy.releases.release import ACCESSORY, APP
from gitdeploy.targets.accessory import WantedAccessory
from tests.support.targets import target_on
from tests.targets.docker.rollout.interposed import Interposed, Killed


def die_replacing(engine: Engine, wanted: WantedAccessory, *, proved: bool) -> None:
    """See `Place.die`."""
    interposed, first_missing, dead = Interposed(engine), "rename" if proved else "start", Event()

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        if dead.is_set() or name == first_missing:
            dead.set()
            raise Killed

    interposed.before = before
    with pytest.raises(Killed):
        target_on(interposed).accessories.bring_up(wanted)


def forget_accessories(client: docker.DockerClient, app: str) -> None:
    """Removes an app's accessories with their data."""
    for container in client.containers.list(all=True, filters={"label": [f"{APP}={app}", ACCESSORY]}):
        container.remove(force=True)
    for volume in client.volumes.list(filters={"label": f"{APP}={app}"}):
        volume.remove()
