"""Accessories as containers of one engine, on the network of their app's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from gitdeploy.config.model import App
from gitdeploy.engine.election import ELECTION
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Cancel, Container, ContainerSpec, Output
from gitdeploy.errors import Cancelled, EngineError, EngineGone, GitdeployError, StageFailed
from gitdeploy.releases.release import ACCESSORY, APP, ROLE, label_problem
from gitdeploy.targets.accessory import Standing, WantedAccessory
from gitdeploy.targets.docker.accessorychange import Change, put_back, take_place
from gitdeploy.targets.docker.accessoryplan import (
    STOPPED,
    accessory_spec,
    next_step,
    own_networks,
    require_kept,
    sort_out_accessories,
    tables,
    trouble,
    unfinished,
    volumes_of,
)
from gitdeploy.targets.router.container import remove_network


def ensure_own_network(engine: Engine, app: App) -> None:
    """Make the network that an app with accessories has of its own, if there is none. Raises EngineError."""
    if not app.own_network:
        return
    ensure = engine.cluster(ELECTION).ensure_overlay if app.target == "swarm" else engine.ensure_network
    ensure(app.own_network, {APP: app.name})


class DockerAccessories:
    """See `Accessories`."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        """Take the engine, and seconds of a clock that only goes forward."""
        self._engine, self._clock = engine, clock

    def look(self, app: App) -> tuple[Standing, ...]:
        """See `Accessories`."""
        found = self._found(app)
        names = (*app.accessories, *sorted(found.keys() - app.accessories.keys()))
        return tuple(_standing(name, *found.get(name, (None, None)), configured=name in app.accessories) for name in names)

    def bring_up(self, wanted: WantedAccessory) -> str:
        """See `Accessories`."""
        app, name = wanted.app, wanted.name
        change = Change(self._engine, self._clock, app, name, wanted.output, wanted.cancel)
        with _of(app, name):
            main = self._settled(app, name, wanted.output)
            step = next_step(main, tables(app, name), renew=wanted.renew)
            if step == "stopped":
                reason = "it is stopped (gitdeploy accessory … stop), and no deployment starts it again"
                raise StageFailed(reason, f"when the app may have it: gitdeploy accessory {app.name} {name} start")
            if main and step in ("keep", "start") and app.own_network not in main.networks:
                wanted.output.line(f"    {name}: it joins {app.own_network}, too, until the app has moved there")
                ensure_own_network(self._engine, app)
                self._engine.connect(app.own_network, main.id, (name, *app.accessories[name].run.network_aliases))
            if main and step == "keep":
                change.wait_healthy(main.id, main)
                return ""
            if main and step == "start":
                change.start(main)
                return "started"
            spec = self._spec(wanted)
            ensure_own_network(self._engine, app)
            if main is None:
                change.make(spec)
                return "made"
            require_kept(app, name, main, spec)
            change.replace(main, spec, "it is made anew" if wanted.renew else "its table has changed")
            return "replaced"

    def let_go(self, app: App) -> None:
        """See `Accessories`."""
        before = own_networks(app) - {app.own_network}
        for container in self._engine.containers({APP: app.name, ROLE: "accessory"}) if before else ():
            for network in before & set(container.networks):
                self._engine.disconnect(network, container.id)
                with suppress(EngineError):  # a command that somebody runs is on it
                    self._engine.remove_network(network)

    def recover(self, app: App, output: Output) -> None:
        """See `Accessories`."""
        for name in self._found(app):
            with _told(name, output):
                self._settled(app, name, output)

    def keep_up(self, app: App, output: Output) -> None:
        """See `Accessories`."""
        for name in self._found(app):
            with _told(name, output):
                main = self._settled(app, name, output)
                if main and main.restart != STOPPED and not main.running:
                    output.line(f"starting {main.name}, which should run")
                    self._engine.start(main.id)

    def stop(self, app: App, name: str, output: Output) -> None:
        """See `Accessories`."""
        main = self._settled(app, name, output) or self._main(app, name)
        self._engine.set_restart(main.id, STOPPED)
        self._engine.stop(main.id)

    def start(self, app: App, name: str, output: Output, cancel: Cancel, *, again: bool = False) -> None:
        """See `Accessories`."""
        main = self._settled(app, name, output) or self._main(app, name)
        with _of(app, name):
            if again:
                self._engine.stop(main.id)
                main = replace(main, state="exited")
            Change(self._engine, self._clock, app, name, output, cancel).start(main)

    def logs(self, app: App, name: str, lines: int, *, follow: bool = False) -> Iterable[str]:
        """See `Accessories`."""
        container = self._main(app, name).id
        return self._engine.follow(container, lines) if follow else self._engine.logs(container, lines)

    def remove(self, app: App, name: str) -> tuple[str, ...]:
        """See `Accessories`."""
        engine, there = self._engine, self._there(app, name)
        for container in there:
            engine.set_restart(container.id, STOPPED)
            engine.stop(container.id)
            engine.remove(container.id, force=True)
        left = engine.containers({APP: app.name})  # the engine would take it from those that are stopped
        for network in set(there[0].networks) & set(engine.networks({APP: app.name})):
            if not any(network in other.networks for other in left):
                with suppress(EngineError):  # somebody else's is on it
                    remove_network(engine, network)
        return volumes_of(there[0])

    def _found(self, app: App) -> dict[str, tuple[Container | None, Container | None]]:
        labelled = self._engine.containers({APP: app.name, ROLE: "accessory"})
        return sort_out_accessories(container for container in labelled if ACCESSORY in container.labels)

    def _main(self, app: App, name: str) -> Container:
        return self._there(app, name)[0]

    def _there(self, app: App, name: str) -> list[Container]:
        """Return its containers, the one that a change makes last. Raises StageFailed for none."""
        if found := list(filter(None, self._found(app).get(name, ()))):
            return found
        if name in app.accessories:
            raise StageFailed(f"accessory {name} of {app.name} was never made", f"gitdeploy accessory {app.name} {name} start")
        known = ", ".join(app.accessories) or "none"
        raise StageFailed(f"{app.name} has no accessory {name}", f"accessories of {app.name}: {known}")

    def _settled(self, app: App, name: str, output: Output) -> Container | None:
        """Finish or undo a change that was interrupted; return the one container that there is now, None for none."""
        main, new = self._found(app).get(name, (None, None))
        move = unfinished(main, new)
        if new and move == "finish":
            take_place(self._engine, main, new)
            return self._engine.container(new.id)
        if main and new and move == "undo":
            output.line(f"a change of the accessory {name} was interrupted: {main.image_ref} is put back")
            put_back(self._engine, main, new.id)
            return self._engine.container(main.id)
        return main

    def _spec(self, wanted: WantedAccessory) -> ContainerSpec:
        """Return the container to make, of an image that is there and may be run; say where it keeps its data."""
        app, name = wanted.app, wanted.name
        image = wanted.image()
        if problem := label_problem(app, image.labels):
            raise StageFailed(problem, "use another image: one with such labels would be taken for a part of the app")
        spec = accessory_spec(app, name, image, wanted.env)
        kept = ", ".join(f"{v.target} in the volume {v.source}" for v in spec.volumes if not v.is_path)
        none = "in no volume: its image declares none (VOLUME), and it has no `volumes`"
        if kept or not spec.volumes:
            wanted.output.line(f"    {name} keeps its data {f'of {kept}' if kept else none}")
        return spec


def _standing(name: str, main: Container | None, new: Container | None, *, configured: bool) -> Standing:
    container = main or new
    volumes = volumes_of(container) if container else ()
    return Standing(name, container.name if container else "", configured, trouble(main, new), volumes)


@contextmanager
def _told(name: str, output: Output) -> Iterator[None]:
    """Say what is wrong with one accessory, and go on: the app and the others are to run whatever becomes of it."""
    try:
        yield
    except EngineGone:
        raise
    except GitdeployError as error:
        output.line(f"accessory {name}: {error.reason}")


@contextmanager
def _of(app: App, name: str) -> Iterator[None]:
    """Say of an error which accessory it is about, and which of its keys."""
    try:
        yield
    except (Cancelled, EngineGone):
        raise
    except GitdeployError as error:
        error.reason = f"accessory {name}: {error.reason}"
        error.hint = error.hint.replace("[apps.X.health]", f'[apps."{app.name}".accessories.{name}.health]')
        raise
