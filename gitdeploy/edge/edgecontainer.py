"""The edge's container: made, found, put on the networks of apps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from gitdeploy.config.domainchecks import edge_ports
from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.runoptions import Run
from gitdeploy.edge.backends import UNUSED
from gitdeploy.edge.edgemaps import DIRECTORY, FILE
from gitdeploy.edge.runtimeapi import FILE_MODE
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import LASTING, Container, ContainerSpec, Credentials, Output
from gitdeploy.errors import EngineError, RegistryError, StageFailed
from gitdeploy.releases.release import APP, ROLE

NAME = "gitdeploy.edge"
IMAGE = "gitdeploy.edge-image"
"""Label: `[edge] image` as it was when the container was made."""

NETWORK = "gitdeploy"
"""The edge's own, which holds its ports. Engines (20.10, 28.5) give a container's ports to the first of its networks by name,
and cut connections when another becomes that: so every app's has a longer name that begins with this."""


NEXT = f"{NAME}.0"
"""What a new one is called until it has the ports of the one before."""


def find_edge(engine: Engine) -> Container | None:
    """Return the edge's container, None if there is none."""
    found = engine.containers({ROLE: "edge"})
    return next((c for c in found if c.name == NAME), next(iter(found), None))


def settled_edge(engine: Engine) -> Container | None:
    """Return the same once there is one alone, under its name: of two that a crash left, the one that has the ports."""
    found = {container.name: container for container in engine.containers({ROLE: "edge"})}
    new, old = found.get(NEXT), found.get(NAME)
    if new is None:
        return old
    if old and (old.running or not new.running):
        engine.remove(new.id, force=True)
        return old
    if old:
        engine.remove(old.id, force=True)
    engine.rename(new.id, NAME)
    return replace(new, name=NAME)


def fits(container: Container, settings: EdgeSettings) -> bool:
    """Return whether it has the image and ports that are asked for, which cannot be changed later. Pure."""
    return container.labels.get(IMAGE) == settings.image and set(container.publish) == set(edge_ports(settings))


def edge_spec(settings: EdgeSettings, image: str, networks: Collection[str], name: str) -> ContainerSpec:
    """Return the container of an image's id, on these networks of apps. Pure."""
    return ContainerSpec(
        name=name,
        image=image,
        command=("haproxy", "-W", "-db", "-f", f"{DIRECTORY}/{FILE}"),
        publish=edge_ports(settings),
        networks=(NETWORK, *sorted(networks)),
        aliases=(UNUSED,),
        labels={ROLE: "edge", IMAGE: settings.image},
        restart=LASTING,
        # Root without any capability: no more than a user of its own, but it may read what root alone may read.
        run=Run(user="0:0", cap_drop=("ALL",)),
    )


def make(engine: Engine, spec: ContainerSpec, files: Mapping[str, bytes]) -> str:
    """Return the id of a new container with these files, not started; what had its name is gone."""
    engine.ensure_network(NETWORK, {ROLE: "edge"})
    engine.remove(spec.name, force=True)
    container = engine.create(spec)
    engine.put_files(container, DIRECTORY, files, FILE_MODE)
    return container


def require_edge_image(engine: Engine, name: str, credentials: Credentials, output: Output) -> str:
    """Return the id of the edge's image, pulled if the engine has none. Raises StageFailed."""
    if image := engine.image(name):
        return image.id
    output.line(f"pulling the edge's image {name}")
    with told_if_missing(f"the edge's image {name}", "image in [edge]"):
        return engine.pull(name, credentials, output)


@contextmanager
def told_if_missing(what: str, key: str) -> Iterator[None]:
    """Raise StageFailed for an image of HAProxy that the block cannot pull; `key`: what names it in config.toml."""
    try:
        yield
    except (RegistryError, EngineError) as error:
        hint = f"load that image into the engine, or set {key} to one that it has or can pull"
        raise StageFailed(f"{what} is missing and cannot be pulled: {error.reason}", hint) from error


def join(engine: Engine, container: Container, networks: Collection[str]) -> None:
    """Put it on the networks that it is not on yet. Raises StageFailed for one that there is not."""
    for network in sorted(set(networks) - set(container.networks)):
        try:
            engine.connect(network, container.id)
        except EngineError as error:
            raise StageFailed(f"the edge cannot get onto the network {network}: {error.reason}", "deploy the app") from error


def leave(engine: Engine, container: Container, networks: Collection[str]) -> None:
    """Take it off the networks of apps that are not among these; one that nothing of its app is on any more goes."""
    for network in set(container.networks) - {NETWORK, *networks}:
        labels = engine.network(network)
        if labels is None:
            continue
        engine.disconnect(network, container.id)
        app = labels.get(APP, "")
        if app and not any(network in other.networks for other in engine.containers({APP: app})):
            with suppress(EngineError):  # somebody else's is on it
                engine.remove_network(network)
