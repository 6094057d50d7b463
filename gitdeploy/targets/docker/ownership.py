"""What on the engine belongs to an app, and what it must leave alone: containers, volumes and networks of other people.

Config names things before anybody knows what is there. So the engine is asked at each deployment, before the build.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

from gitdeploy.config.attachments import Volume
from gitdeploy.config.checks import processes
from gitdeploy.config.imagereference import parse
from gitdeploy.config.model import WEB, App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.proxies import NAMES
from gitdeploy.engine.scope import STRANGER
from gitdeploy.engine.types import Container
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import ACCESSORY, APP, ROLE, TARGET, process_of
from gitdeploy.targets.docker.adopting import dropped
from gitdeploy.targets.target import Here

SOCKETS = tuple(f"{name}.sock" for name in ("docker", "containerd", "podman", "crio"))
ENGINES = tuple(
    PurePosixPath(f"{run}/{name}") for run in ("/run", "/var/run") for name in ("docker.sock", "containerd", "podman")
)
"""Where engines listen; a mount of a directory above shows them, too."""

DATA = (PurePosixPath("/var/lib/docker"), PurePosixPath("/var/lib/containerd"))
"""Where engines keep what runs."""


def containers_of(engine: Engine, app: App, role: str = "") -> list[Container]:
    """Return the containers of the process of an app that `app` describes, newest first; of one role alone, if one is given.

    Those that its target has made: another one's are no business of it.
    """
    found = engine.containers({APP: app.name, ROLE: role} if role else {APP: app.name})
    own = [c for c in found if c.labels.get(TARGET, "docker") == app.target]
    return [c for c in own if process_of(c.labels) == app.process and ACCESSORY not in c.labels]


def releases_of(engine: Engine, app: App) -> list[Container]:
    """Return the containers that the app's target has made of its releases, of all processes, and their routers."""
    found = engine.containers({APP: app.name})
    return [c for c in found if c.labels.get(ROLE) in ("app", "router") and c.labels.get(TARGET, "docker") == app.target]


def name_problem(app: App, named: Container) -> str:
    """Return why the container that bears the app's name is not the app's, and must not become so; "" if it is or may. Pure."""
    owner = named.labels.get(APP, "")
    if owner == app.name and ACCESSORY in named.labels:
        return f"the container name {app.container} is taken by the accessory {named.labels[ACCESSORY]} of {owner}"
    if owner:
        return f"the container name {app.container} is taken by {owner}" if owner != app.name else ""
    whose = f"{app.name} takes nobody's place (adopt = false)" if app.process == WEB else "only web takes another one's place"
    why = whose if app.adopt is False else ""
    if why or (why := _part(app, named)):
        return f"the container {named.name} ({named.image_ref}) is not gitdeploy's to take: {why}"
    return ""


def another_name(app: App, problem: str) -> str:
    """Return what to do about the container that has the app's name. Pure."""
    other = f"set another `container` for {app.name} in config.toml"
    if app.process != WEB:
        other = f"rename or remove that container, or call the process {app.process} of {app.name} something else"
    if f"{app.name}{STRANGER}" not in problem:
        return other
    return f"{other}; or, if that one deploys it no more: gitdeploy enrol {app.name} --take-over"


def _part(app: App, named: Container) -> str:
    """Return what a container is that no app may take the place of, "" if it is none of that kind. Pure."""
    port = registry_port(app)
    if ROLE in named.labels:
        return f"it is a {named.labels[ROLE]} of gitdeploy"
    if any(map(commands_engine, named.mounts)):
        return "it commands this engine"
    if port and any(published.host_port == port and published.protocol == "tcp" for published in named.publish):
        return f"it holds port {port}, where the registry of {app.image} is"
    return ""


def commands_engine(mount: Volume) -> bool:
    """Return whether a mount shows a container the socket of an engine, or all that it keeps. Pure."""
    path = PurePosixPath(mount.source)
    return mount.is_path and (path.name.endswith(SOCKETS) or any(p.is_relative_to(path) for p in (*ENGINES, *DATA)))


def registry_port(app: App) -> int:
    """Return the port that the app's image names its registry by, 0 for none. Pure."""
    found = parse(app.image)
    port = found.domain.rpartition(":")[2] if found else ""
    return int(port) if re.fullmatch("[0-9]{1,5}", port) else 0


def require_own(engine: Engine, app: App, granted: App, here: Here) -> None:
    """Raise StageFailed if the app would take a container's place, a volume or a network that is not its own.

    Args:
        app: its configuration, with what the tree says.
        granted: what the server's config.toml alone says: what stands there is not looked at, but for the container.
        here: this installation.
    """
    for part in processes(app):
        _require_own_name(engine, part, granted, here)
    _require_own_volumes(engine, app, granted)
    _require_own_networks(engine, app, granted)


def _require_own_name(engine: Engine, app: App, granted: App, here: Here) -> None:
    """Look at the container that has the name of a process of the app."""
    named = engine.container(app.container)
    if named and (problem := name_problem(app, named) or _reserved(engine, named, here)):
        raise StageFailed(problem, another_name(app, problem))
    if named and not named.labels.get(APP) and granted.adopt is None:
        _require_nothing_lost(engine, app, named)


def _require_nothing_lost(engine: Engine, app: App, named: Container) -> None:
    """Raise StageFailed if a container whose place nobody said is to be taken has options that config.toml does not repeat."""
    given = {*app.env, *NAMES.values(), *(name.lower() for name in NAMES.values())}  # by Docker's own config.json, if at all
    lost = list(dropped(app, given, engine.made_with(named.id)))
    lost = [(option, way) for option, way in lost if not (app.env_file and option.startswith("-e "))]  # told when that is read
    if lost:
        options = ", ".join(option for option, _ in lost[:10]) + (f" and {len(lost) - 10} more" if len(lost) > 10 else "")
        keys = ", ".join(
            dict.fromkeys(way.removesuffix(" in config.toml") for _, way in lost if way.endswith(" in config.toml"))
        )
        raise StageFailed(
            f"gitdeploy did not make the container {named.name} ({named.image_ref}), and would lose its {options}",
            (f"set what is needed in config.toml: {keys}; or, to lose them, " if keys else "to lose them, ")
            + f"adopt = true for {app.name} there, or once: gitdeploy deploy {app.name}",
        )


def _reserved(engine: Engine, named: Container, here: Here) -> str:
    """Return why a container that is not the app's keeps its place although the app may adopt others, "" if it does not."""
    if named.labels.get(APP):
        return ""
    ours = next((c for c in engine.containers({}) if here.container and c.id.startswith(here.container)), None)
    sources = {*map(str, here.places), *(mount.source for mount in (ours.mounts if ours else ()))}
    if ours and ours.id == named.id:
        return f"the container {named.name} is the one that gitdeploy runs in"
    if shared := next(overlapping(named.mounts, sources), ""):
        return f"the container {named.name} has data of gitdeploy or the Git server ({shared})"
    return ""


def overlapping(mounts: Sequence[Volume], sources: Collection[str]) -> Iterator[str]:
    """Yield the mounts that hold one of these directories or volumes, or lie in one. Pure."""
    for mount in mounts:
        for source in sources:
            inside = PurePosixPath(mount.source), PurePosixPath(source)
            if mount.source == source or (mount.is_path and _either_way(*inside)) or _volume_path(mount) in source:
                yield mount.source
                break


def _either_way(one: PurePosixPath, other: PurePosixPath) -> bool:
    return other.is_absolute() and (one.is_relative_to(other) or other.is_relative_to(one))


def _volume_path(mount: Volume) -> str:
    """Return what the path of a volume's files has in it on the engine's own machine; of a path, something that none has."""
    return "\0" if mount.is_path else f"/volumes/{mount.source}/_data"


def _require_own_volumes(engine: Engine, app: App, granted: App) -> None:
    """Look at the named volumes that the tree asks for. One that is made now is marked as this app's."""
    granted_names = {volume.source for volume in granted.volumes}
    names = sorted({volume.source for volume in app.volumes if not volume.is_path} - granted_names)
    users = engine.containers({}) if names else []
    for name in names:
        labels = engine.volume(name)
        mine = [c.labels.get(APP) == app.name for c in users if any(mount.source == name for mount in c.mounts)]
        if labels is None:
            engine.create_volume(name, {APP: app.name})
        elif not all(mine) or (not mine and labels.get(APP) != app.name) or labels.get(APP, app.name) != app.name:
            fix = f"if it is this app's: list it in volumes of {app.name} in the server's config.toml"
            raise StageFailed(f"volumes: the volume {name} was there before, and was not made for {app.name}", fix)


def _require_own_networks(engine: Engine, app: App, granted: App) -> None:
    """Look at the networks that the tree asks for. gitdeploy makes none of them: the server does, with this app's label."""
    for name in app.networks:
        if engine.network(name) is None:
            hint = f"make it: docker network create {name}; or write the name of another one (ids are not taken)"
            raise StageFailed(f"networks: there is no network {name}", hint)
    names = [name for name in app.networks if name not in granted.networks]
    users = engine.containers({}) if names else []
    for name in names:
        labels = engine.network(name) or {}
        mine = [c.labels.get(APP) == app.name for c in users if name in c.networks]
        if labels.get(APP, app.name) != app.name:
            raise StageFailed(f"networks: {name} is {labels[APP]}'s", "take it out of gitdeploy.toml")
        if APP not in labels and not (mine and all(mine)):
            raise StageFailed(
                f"networks: the network {name} was not made for {app.name}, and not only its containers are there",
                f"if it is for this app: list it in networks of {app.name} in the server's config.toml, or make it with: "
                f"docker network create --label {APP}={app.name} {name}",
            )
