"""Making the container of an accessory, and putting another one in its place: what is done, in an order that can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import LASTING, Cancel, Container, ContainerSpec, Output
from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.releases.release import APP
from gitdeploy.targets.check import pick
from gitdeploy.targets.docker.accessoryplan import NEW, STOPPED, own_networks
from gitdeploy.targets.docker.health import Waiter
from gitdeploy.targets.undo import Undo


@dataclass(frozen=True)
class Change:
    """A change of one accessory.

    Attributes:
        clock: seconds, monotonic.
    """

    engine: Engine
    clock: Callable[[], float]
    app: App
    name: str
    output: Output
    cancel: Cancel

    def make(self, spec: ContainerSpec) -> None:
        """Make its first container, and wait for it; it is gone again if it does not get healthy."""
        self._require_free(spec)
        self._mark_volumes(spec)
        self.output.line(f"    {self.name}: starting {spec.image}")
        created = self.engine.create(spec)
        undo = Undo(self.output)
        undo.add(f"removing {spec.name}", partial(self.engine.remove, created, force=True))
        with undo.on_failure():
            self.engine.start(created)
            self.wait_healthy(created)

    def replace(self, main: Container, spec: ContainerSpec, why: str) -> None:
        """Put a new container in the place of the old one, which is there, stopped, until the new one is healthy."""
        engine = self.engine
        if spec.name != main.name:
            self._require_free(spec)
        self._mark_volumes(spec)
        self.output.line(f"    {self.name}: {why}: {main.image_ref} makes room for {spec.image}, and is back if that fails")
        if hint := self.app.accessories[self.name].backup_hint:
            self.output.line(f"    {self.name}: a backup is made by: {hint}")
        engine.remove(spec.name + NEW, force=True)
        created = engine.create(replace(spec, name=spec.name + NEW, restart=STOPPED))
        undo = Undo(self.output)
        undo.add(f"putting {main.name} back", partial(put_back, engine, main, created), traffic=True)
        with undo.on_failure():
            for network in own_networks(self.app) & set(main.networks) - set(spec.networks):  # until the app has moved
                engine.connect(network, created, (*spec.aliases, *spec.run.network_aliases))
            if self.cancel.is_set():
                raise Cancelled("cancelled before an accessory was replaced")
            engine.set_restart(main.id, STOPPED)
            engine.stop(main.id)
            engine.start(created)
            self.wait_healthy(created)
        if new := engine.container(created):
            take_place(engine, main, new)

    def start(self, main: Container) -> None:
        """Start it as it was made, from now on with the engine, too, and wait for it."""
        if not main.running:
            self.output.line(f"    {self.name}: starting {main.name}, which was {main.state}")
        self.engine.set_restart(main.id, LASTING)
        self.engine.start(main.id)
        self.wait_healthy(main.id)

    def wait_healthy(self, container: str, before: Container | None = None) -> None:
        """Wait until it is healthy; one that ran `before` need not show again that it stays up. Raises as `Waiter.wait`."""
        now = self.engine.container(container)
        image = self.engine.image(now.image) if now else None
        if image is None or self.name not in self.app.accessories:
            return
        part = self.app.of_accessory(self.name)
        check = pick(part.health, image, part.publish)
        if before and check.kind == "uptime" and before.running:
            return
        began = self.clock()

        def from_afar() -> str:
            """Say of what cannot be asked from here whether it has stayed up."""
            stayed = before or self.clock() - began >= part.health.min_uptime
            return "" if stayed else "it cannot be asked from here, so it has to stay up"

        restarts = before.restarts if before else 0
        Waiter(self.engine, self.cancel, self.clock, from_afar, self.output.line, restarts).wait(container, check, part.health)

    def _require_free(self, spec: ContainerSpec) -> None:
        """Raise StageFailed if another container has its name."""
        if named := self.engine.container(spec.name):
            reason = f"the container name {spec.name} is taken by {named.image_ref}, which is no accessory of {self.app.name}"
            hint = "rename or remove that container; if it has the data that is wanted, name its volume in `volumes` first"
            raise StageFailed(reason, hint)

    def _require_alone(self, spec: ContainerSpec) -> None:
        """Raise StageFailed if a container of somebody else writes where this one would: two databases on one volume."""
        wanted = {volume.source for volume in spec.volumes if not volume.read_only}
        for other in self.engine.containers({}, all=False):
            shared = [m.source for m in other.mounts if not m.read_only and m.source in wanted]
            if shared and other.labels.get(APP) != self.app.name:
                reason = f"the container {other.name} ({other.image_ref}) runs on {shared[0]}, which this one is to have"
                hint = f"docker stop {other.name}, and docker rm {other.name}, or it comes back; what is on {shared[0]} stays"
                raise StageFailed(reason, hint)

    def _mark_volumes(self, spec: ContainerSpec) -> None:
        """Make the volumes that are not there as the app's. Raises StageFailed if one is another app's, or in use."""
        self._require_alone(spec)
        for name in [volume.source for volume in spec.volumes if not volume.is_path]:
            labels = self.engine.volume(name)
            if labels is None:
                self.engine.create_volume(name, {APP: self.app.name})
            elif (owner := labels.get(APP, self.app.name)) != self.app.name:
                raise StageFailed(f"the volume {name} is {owner}'s", f"name another one in volumes of accessories.{self.name}")


def take_place(engine: Engine, main: Container | None, new: Container) -> None:
    """Let a new container that has proved itself take over: what `accessoryplan.unfinished` goes by comes first."""
    engine.set_restart(new.id, LASTING)
    if main:
        engine.remove(main.id, force=True)
    engine.rename(new.id, new.name.removesuffix(NEW))


def put_back(engine: Engine, main: Container, new: str) -> None:
    """Let the old container run again, the new one gone: both must not run on one volume."""
    if engine.container(new):
        engine.stop(new)
    engine.set_restart(main.id, LASTING)
    engine.start(main.id)
    engine.remove(new, force=True)
