"""The step that has the app's accessories run before anything of the app needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from gitdeploy.config.jobs import Accessory
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import accessory_env
from gitdeploy.engine.protocol import Builder
from gitdeploy.engine.types import Cancel, Credentials, Image, Output
from gitdeploy.errors import EngineError, RegistryError, StageFailed
from gitdeploy.pipeline.again import again
from gitdeploy.pipeline.plan import Running
from gitdeploy.pipeline.way import Way
from gitdeploy.targets.accessory import WantedAccessory


def bring_up_accessories(way: Way, stage: Running) -> None:
    """Let each of them run as its table says, healthy; one whose table is the same is not touched. Raises StageFailed."""
    tools, app = way.tools, way.app
    credentials = tools.credentials(app)
    accessories, done = tools.target.accessories, []
    for name, accessory in app.accessories.items():
        wanted = WantedAccessory(
            app=app,
            name=name,
            env=accessory_env(app, name, tools.console.redact.add),
            image=partial(_image, way, accessory.image, credentials, stage),
            output=tools.console,
            cancel=stage.cancel,
        )
        done.append(f"{name} {accessories.bring_up(wanted) or 'runs'}")
    for left in accessories.look(app):
        if not left.configured:
            away = f"gitdeploy accessory {app.name} {left.name} remove"
            tools.console.line(f"    {left.name} has no table any more, and is left as it is; to remove it: {away}")
    stage.note = ", ".join(done)


def _image(way: Way, reference: str, credentials: Credentials, stage: Running) -> Image:
    way.await_step("Push")  # if it comes before: what cannot be published does not go live, so a new database would be in vain
    return pulled(way.tools.builder, reference, credentials, way.tools.console, stage.cancel)


def pulled(
    builder: Builder, reference: str, credentials: Credentials, output: Output, cancel: Cancel, *, anew: bool = False
) -> Image:
    """Return an image of the engine's, pulled if it is not there, or in any case (`anew`). Raises StageFailed, Cancelled."""
    image = builder.image(reference)
    if image is None or anew:
        output.line(f"    pulling {reference}")
        try:
            again(lambda: builder.pull(reference, credentials, output, cancel), output, cancel)
        except (RegistryError, EngineError) as error:
            hint = error.hint or "correct `image`, or load that image into the engine"
            raise StageFailed(f"{reference} cannot be pulled: {error.reason}", hint) from error
        image = builder.image(reference)
    if image is None:
        raise StageFailed(f"the engine has no image {reference}, though it has pulled it", "deploy again")
    return image


def changed_since(then: Mapping[str, Accessory], now: Mapping[str, Accessory]) -> list[str]:
    """Return the names of accessories whose tables were others when a release ran. Pure."""
    return [name for name in (*now, *(then.keys() - now.keys())) if then.get(name) != now.get(name)]


def with_accessories_of_now(app: App, granted: App, output: Output) -> App:
    """Return an earlier release's app with the accessories that there are now, which a rollback does not touch; tell of it."""
    if changed := changed_since(app.accessories, granted.accessories):
        names = ", ".join(changed)
        output.line(f"    accessories stay as they are; their tables were others when this release ran: {names}")
    return replace(app, accessories=granted.accessories)
