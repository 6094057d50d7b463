"""The life of an app's router: made, checked by HAProxy itself, put right when it is not what the configuration asks for."""

from __future__ import annotations

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container, ContainerSpec, Credentials, Output
from gitdeploy.errors import EngineError, RegistryError, StageFailed
from gitdeploy.release import APP, ROLE
from gitdeploy.router.config import ALIAS, DIRECTORY, FILE, Settings, published, render
from gitdeploy.router.haproxy import Haproxy

RESTART = "always"
"""After a kill of the engine itself, "unless-stopped" would leave it stopped: the engine takes its own kill for a wish."""

CHECK_LIMIT = 30.0
"""Seconds for HAProxy's check of a configuration."""

NO_CLIENT = 70
"""Exit code of CHECK for an image that gitdeploy cannot speak to."""

CHECK = f"""\
command -v nc >/dev/null || command -v bash >/dev/null || exit {NO_CLIENT}
exec haproxy -c -f {DIRECTORY}/{FILE}"""


def router_name(app: App) -> str:
    """The name of the app's router container."""
    return f"{app.container}.router"


def network_name(app: App) -> str:
    """The app's own network, on which the router finds its containers."""
    return f"gitdeploy.{app.container}"


def has_router(app: App) -> bool:
    """Whether an app with an overlapping strategy gets a router of gitdeploy's: one that publishes something does."""
    return app.router.kind == "haproxy" and bool(app.publish)


def find(engine: Engine, app: str) -> list[Container]:
    """The app's router containers, running ones first; more than one only after a crash while one was replaced."""
    return sorted(engine.containers({APP: app, ROLE: "router"}), key=lambda c: not c.running)


def fits(container: Container, app: App) -> bool:
    """Whether a router has the ports and the image that the app asks for, which cannot be changed once it is made. Pure."""
    return container.image_ref == app.router.image and set(container.publish) == set(published(app))


def require_image(engine: Engine, app: App, credentials: Credentials, output: Output) -> None:
    """Pulls the router's image if the engine has none. Raises StageFailed."""
    image = app.router.image
    if engine.image(image):
        return
    output.line(f"pulling the router's image {image}")
    try:
        engine.pull(image, credentials, output)
    except (RegistryError, EngineError) as error:
        hint = "load that image into the engine, or set router.image to one that it has or can pull"
        raise StageFailed(f"the router's image {image} is missing and cannot be pulled: {error.reason}", hint) from error


def check(engine: Engine, app: App, settings: Settings) -> None:
    """Lets the router's own image check the configuration in a container of no consequence. Raises StageFailed."""
    name = f"{app.container}.0.check"
    engine.remove(name, force=True)
    spec = ContainerSpec(name=name, image=app.router.image, command=("sh", "-c", CHECK), labels={APP: app.name, ROLE: "check"})
    container = engine.create(spec)
    try:
        engine.put_files(container, DIRECTORY, {FILE: render(settings, {})})
        engine.start(container)
        code = engine.wait(container, CHECK_LIMIT)
        if code == 0:
            return
        hint = "the official haproxy images work: set router.image to one of them"
        if code == NO_CLIENT:
            raise StageFailed(f"the router's image {app.router.image} has neither nc nor bash to speak to HAProxy with", hint)
        how = f"exit code {code}" if code is not None else f"no answer in {CHECK_LIMIT:.0f} s"
        reason = f"HAProxy of {app.router.image} refused the generated configuration ({how})"
        raise StageFailed(reason, hint, engine.logs(container, 15))
    except EngineError as error:
        raise StageFailed(f"the router's image {app.router.image} cannot run: {error.reason}", error.hint) from error
    finally:
        engine.remove(container, force=True)


def create(engine: Engine, app: App, settings: Settings) -> Haproxy:
    """A new router without servers, not started yet, on the app's network; its name says so until `settle`."""
    network = network_name(app)
    engine.ensure_network(network, {APP: app.name})
    name = f"{app.container}.0.router"
    engine.remove(name, force=True)
    spec = ContainerSpec(
        name=name,
        image=app.router.image,
        command=("haproxy", "-W", "-db", "-f", f"{DIRECTORY}/{FILE}"),
        publish=published(app),
        networks=(network,),
        aliases=(ALIAS,),
        labels={APP: app.name, ROLE: "router"},
        restart=RESTART,
    )
    router = Haproxy(engine, engine.create(spec), settings)
    router.load(())
    return router


def settle(engine: Engine, app: App, container: str) -> None:
    """Makes this the app's only router, under the router's name."""
    for other in find(engine, app.name):
        if other.id != container:
            engine.remove(other.id, force=True)
    found = engine.container(container)
    if found and found.name != router_name(app):
        engine.rename(container, router_name(app))


def discard(engine: Engine, app: App) -> None:
    """Removes the app's routers, and its network once no container is on it."""
    for router in find(engine, app.name):
        engine.remove(router.id, force=True)
    if network_name(app) in engine.networks({APP: app.name}):
        engine.remove_network(network_name(app))
