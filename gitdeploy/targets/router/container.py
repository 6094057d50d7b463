"""The life of an app's router: made, and put right when it is not what the configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App
from gitdeploy.config.runoptions import Run
from gitdeploy.edge.edgecontainer import told_if_missing
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import LASTING, Container, ContainerSpec, Credentials, Output
from gitdeploy.errors import EngineError, StageFailed
from gitdeploy.releases.release import APP, ROLE, process_label, target_label
from gitdeploy.targets.docker.ownership import containers_of
from gitdeploy.targets.router.haproxy import Haproxy
from gitdeploy.targets.router.haproxycfg import ALIAS, DIRECTORY, FILE, GIVE_UP, Settings, published

Make = Callable[[Engine, str, Settings], Haproxy]
"""Takes the id of a router's container."""

IMAGE = "gitdeploy.router-image"
"""Label of a router: router.image as it was when it was made. The container itself is made of that image's id."""


def router_name(app: App) -> str:
    """Return the name of the app's router container; each target has its own, for an app moves from one to another."""
    return f"{app.container}.router" if app.target == "docker" else f"{app.container}.{app.target}.router"


def router_names(app: App) -> tuple[str, str]:
    """Return that name, and the one of a router that is made while there is another."""
    return router_name(app), router_name(app).replace(app.container, f"{app.container}.0", 1)


def network_name(app: App) -> str:
    """Return the app's own network, on which the router finds its containers."""
    return f"gitdeploy.{app.container}"


def has_router(app: App) -> bool:
    """Return whether an app with an overlapping strategy gets a router of gitdeploy's: one that answers somewhere does."""
    return app.router.kind == "haproxy" and bool(app.publish or app.led_to)


def find(engine: Engine, app: App) -> list[Container]:
    """Return the app's router containers, running ones first; more than one only after a crash while one was replaced."""
    return sorted(containers_of(engine, app, "router"), key=lambda c: not c.running)


def _find_all(engine: Engine, app: App) -> list[Container]:
    """Return the same with a `Scout`, if there is one."""
    return [*find(engine, app), *containers_of(engine, app, "check")]


def held_ports(app: App) -> tuple[Publish, ...]:
    """Return the ports of this machine that the app's router container holds. Pure."""
    return () if app.router.nodes and app.target == "swarm" else published(app)


def image_name(router: Container) -> str:
    """Return what router.image was when this router was made. Pure."""
    return router.labels.get(IMAGE) or router.image_ref


def fits(container: Container, app: App) -> bool:
    """Return whether a router has the ports and the image that the app asks for; neither can be changed later. Pure."""
    return image_name(container) == app.router.image and set(container.publish) == set(held_ports(app))


def require_image(engine: Engine, app: App, routers: Sequence[Container], credentials: Credentials, output: Output) -> str:
    """Return the id of the image that a router of the app is made of.

    That is what the app's own routers run, or other apps' of the same name, although the tag may have moved since; what has
    the name now where there is no such router, or its image is gone. It is pulled if the engine has none.

    Args:
        routers: the app's own.

    Raises:
        StageFailed: there is no such image and it cannot be pulled.
    """
    name = app.router.image
    kept = _kept(engine, name, routers)
    if kept:
        return kept
    others = [c for c in engine.containers({ROLE: "router"}) if image_name(c) == name]
    kept = _kept(engine, name, others)
    if kept:
        return kept
    image = engine.image(name)
    found = image.id if image else _pull(engine, name, credentials, output)
    gone = "; the one that routers run under this name is no longer on the engine" if others else ""
    output.line(f"the router's image {name} is {found[:19]}{gone}")
    return found


def _kept(engine: Engine, name: str, routers: Sequence[Container]) -> str:
    """Return the id of the image that one of these runs under that name and that is still there, "" for none."""
    images = (engine.image(router.image) for router in routers if image_name(router) == name)
    return next((image.id for image in images if image), "")


def _pull(engine: Engine, name: str, credentials: Credentials, output: Output) -> str:
    output.line(f"pulling the router's image {name}")
    with told_if_missing(f"the router's image {name}", "router.image"):
        return engine.pull(name, credentials, output)


def create(engine: Engine, app: App, settings: Settings, image: str, *networks: str, make: Make = Haproxy) -> Haproxy:
    """Return a new router of that image, without servers, not started; `settle` gives it its name.

    `networks`: that there are, none for the app's own bridge, which is made if there is none.
    """
    if not networks:
        networks = (network_name(app),)
        engine.ensure_network(*networks, {APP: app.name})
    name = _free_name(engine, app)
    engine.remove(name, force=True)
    spec = ContainerSpec(
        name=name,
        image=image,
        command=("haproxy", "-W", "-db", "-f", f"{DIRECTORY}/{FILE}"),
        publish=held_ports(app),
        networks=networks,
        aliases=(ALIAS, router_name(app)),  # for the edge, also while it has another name
        labels={APP: app.name, ROLE: "router", IMAGE: app.router.image, **process_label(app), **target_label(app)},
        restart=LASTING,
        run=Run(sysctls=GIVE_UP) if settings.services else Run(),
    )
    router = make(engine, engine.create(spec), settings)
    router.load(())
    return router


def _free_name(engine: Engine, app: App) -> str:
    """Return the name to make a router by: one that no router bears which runs."""
    own, between = router_names(app)
    if app.target == "docker":  # which renames it later
        return between
    there = {name: container for name in (own, between) if (container := engine.container(name))}
    unused = [name for name in (own, between) if name not in there]
    return next(iter([*unused, *(name for name, container in there.items() if not container.running)]), between)


def revive(
    engine: Engine, routers: Sequence[Container], wanted: Settings, output: Output, make: Make = Haproxy
) -> Haproxy | None:
    """Return an app's router, running and answering; None if there is none, or none that can be started."""
    if not routers:
        return None
    container = routers[0]
    router = make(engine, container.id, wanted)
    try:
        if container.running:
            router.look()
            return router
    except StageFailed as error:
        output.line(f"restarting the router {container.name}, which does not answer: {error.reason}")
    else:
        output.line(f"starting the router {container.name}, which is {container.state}")
    try:
        router.restart()
    except (EngineError, StageFailed) as error:
        output.line(f"making a new router, for {container.name} cannot be started: {error.reason}")
        engine.remove(container.id, force=True)
        return None
    return router


def settle(engine: Engine, app: App, container: str) -> None:
    """Make this the app's only router, under the router's name."""
    for other in _find_all(engine, app):
        if other.id != container:
            engine.remove(other.id, force=True)
    found = engine.container(container)
    if found and found.name != router_name(app) and app.target == "docker":  # none on a network of many machines can be renamed
        engine.rename(container, router_name(app))


def discard(engine: Engine, app: App, *networks: str) -> None:
    """Remove the app's routers, and its networks once no container is on them; none given: the app's own bridge."""
    for router in _find_all(engine, app):
        engine.remove(router.id, force=True)
    for network in set(networks or [network_name(app)]).intersection(engine.networks({APP: app.name})):
        remove_network(engine, network)


def remove_network(engine: Engine, network: str) -> None:
    """Remove a network of an app's own, off which the edge is taken: nothing of the app is on it any more."""
    for edge in engine.containers({ROLE: "edge"}):
        if network in edge.addresses:
            engine.disconnect(network, edge.id)
    engine.remove_network(network)
