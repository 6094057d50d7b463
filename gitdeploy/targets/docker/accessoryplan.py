"""What is to be done about an accessory, from what is there and what its table says. Pure.

A new container has a name of its own, and does not start with the engine, until the old one is gone; so what is there tells how
far a change has come, whatever became of who made it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, get_args

from gitdeploy.config.attachments import Volume
from gitdeploy.config.jobs import Accessory
from gitdeploy.config.model import App, TargetName
from gitdeploy.engine.types import ENDED, LASTING, Container, ContainerSpec, Image
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import ACCESSORY, APP, ROLE

TABLE = "gitdeploy.accessory-table"
"""Label of an accessory's container: `fingerprint` of the table that it was made by."""

NEW = ".0.new"
"""Behind an accessory's name while its container takes over; no app's container is called so (`checks.DERIVED`)."""

STOPPED = "no"
"""Restart policy of what is not to start: stopped by a person, or about to be replaced."""


def fingerprint(app: App, name: str) -> str:
    """Return what tells one table from another by what a container is made of: not by its health check or backup_hint.

    Only what differs from the built-in defaults counts, so that a key that a later gitdeploy adds replaces no database.
    """
    told = _told(app.accessories[name], Accessory())
    made = {key: value for key, value in told.items() if key not in ("health", "backup_hint")}
    made |= {"container": app.of_accessory(name).container, "network": app.own_network}
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32]


def own_networks(app: App) -> frozenset[str]:
    """Return the network of the app's own for each target that it may be on."""
    return frozenset(filter(None, (replace(app, target=target).own_network for target in get_args(TargetName))))


def tables(app: App, name: str) -> frozenset[str]:
    """Return the `fingerprint`s of what need not be made anew: on which of those networks it was made is no matter.

    Unless it has an address of its own, which it would not have on another one.
    """
    run = app.accessories[name].run
    moves = () if run.ip or run.ip6 or run.mac_address else get_args(TargetName)
    return frozenset(fingerprint(replace(app, target=target), name) for target in (app.target, *moves))


def _told(record: Any, built_in: Any) -> dict[str, Any]:
    """Return the values of a dataclass that are not those of the other, as JSON takes them."""
    told = {}
    for name in (field.name for field in fields(record)):
        value, default = getattr(record, name), getattr(built_in, name)
        if value != default:
            told[name] = _told(value, default) if is_dataclass(value) else _plain(value)
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float) else str(value)


def unfinished(main: Container | None, new: Container | None) -> Literal["", "undo", "finish"]:
    """Return what to do about a change that was interrupted: a new one that starts with the engine has proved itself."""
    if new is None:
        return ""
    return "finish" if main is None or new.restart == LASTING else "undo"


def next_step(
    main: Container | None, tables: Collection[str], *, renew: bool
) -> Literal["make", "replace", "keep", "start", "stopped"]:
    """Return what to do that it runs as its table says, once nothing is unfinished."""
    if main is None:
        return "make"
    if main.restart == STOPPED and not main.running:
        return "stopped"
    if renew or main.labels.get(TABLE) not in tables:
        return "replace"
    return "start" if main.state in ("created", "paused", *ENDED) else "keep"


def own_volumes(app: App, name: str, image: Image) -> tuple[Volume, ...]:
    """Return a named volume for each directory that the image declares to keep data and the table mounts nothing at.

    Its name goes by the directory alone, so that it is the same whatever else a later image declares.
    """
    accessory = app.accessories[name]
    taken = {volume.target for volume in accessory.volumes}
    taken |= {entry.partition(":")[0].rstrip("/") for entry in accessory.run.tmpfs}
    base = app.of_accessory(name).container
    paths = [path.rstrip("/") for path in image.volumes]
    return tuple(Volume(f"{base}{_named_after(path)}", path) for path in paths if path and path not in taken)


def _named_after(path: str) -> str:
    """Return a path as the end of a volume's name: no other path's."""
    plain = re.sub("[^A-Za-z0-9_.]", "-", path)
    same = plain.replace("-", "/") == path
    return plain if same else f"{plain}.{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def accessory_spec(app: App, name: str, image: Image, env: Mapping[str, str]) -> ContainerSpec:
    """Return the container of an accessory."""
    part = app.of_accessory(name)
    return ContainerSpec(
        name=part.container,
        image=app.accessories[name].image,
        env=env,
        publish=part.publish,
        volumes=(*part.volumes, *own_volumes(app, name, image)),
        networks=part.networks,
        aliases=(name,),
        own_network=app.own_network,
        labels={APP: app.name, ROLE: "accessory", ACCESSORY: name, TABLE: fingerprint(app, name)},
        restart=LASTING,
        stop_timeout=part.stop_timeout,
        run=part.run,
    )


def volumes_of(container: Container) -> tuple[str, ...]:
    """Return the names of the volumes that a container may keep data in."""
    return tuple(mount.source for mount in container.mounts if not mount.is_path and not mount.read_only)


def require_kept(app: App, name: str, old: Container, spec: ContainerSpec) -> None:
    """Raise StageFailed if a new container would begin without a volume of the old one, and its table does not say so."""
    there = {volume.source for volume in spec.volumes}
    said = {volume.target for volume in app.accessories[name].volumes}
    anew = {volume.target for volume in spec.volumes}
    # A path that the table names no more is let go; that it names none where the image has data to keep is no such wish.
    writable = [m for m in old.mounts if not m.read_only and (not m.is_path or m.target in anew)]
    lost = [m for m in writable if m.source not in there and m.target not in said]
    if not lost:
        return
    kind = "path" if lost[0].is_path else "volume"
    now = ", ".join(f"{volume.source} at {volume.target}" for volume in spec.volumes if not volume.is_path) or "none"
    reason = f"the new container would begin without the {kind} {lost[0].source}, which the old one has at {lost[0].target}"
    hint = f'name it in volumes of accessories.{name} in config.toml, such as "{lost[0].source}:{lost[0].target}"'
    hint += f"; or, to begin anew: gitdeploy accessory {app.name} {name} remove, which keeps the {kind}"
    raise StageFailed(f"{reason} (now: {now})", hint)


def trouble(main: Container | None, new: Container | None = None) -> str:
    """Return why an accessory does not run as it should, "" if it does; `new` is to take the place of `main`."""
    if new is not None:
        return "was being replaced when that was cut off: its start, or the next deployment, puts it right"
    if main is None:
        return "there is no container of it"
    if main.restart == STOPPED and not main.running:
        return "stopped (gitdeploy accessory … stop)"
    if not main.running:
        return f"its container {main.name} is {main.state}"
    return f"its container {main.name} is unhealthy" if main.health == "unhealthy" else ""


def sort_out_accessories(found: Iterable[Container]) -> dict[str, tuple[Container | None, Container | None]]:
    """Return by name the container of each accessory and the one that is to take its place."""
    named: dict[str, tuple[Container | None, Container | None]] = {}
    for container in found:
        name = container.labels[ACCESSORY]
        main, new = named.get(name, (None, None))
        named[name] = (main, new or container) if container.name.endswith(NEW) else (main or container, new)
    return named
