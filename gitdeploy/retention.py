"""What is kept for a rollback, and what goes: which releases, which images; and which release to roll back to.

Only images with the app's label are looked at, so nothing goes that gitdeploy did not make.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Image, Output
from gitdeploy.errors import EngineError, UsageError
from gitdeploy.records import Deployment
from gitdeploy.release import APP, VERSION, is_own_tag


@dataclass(frozen=True)
class Plan:
    """What a prune is going to do.

    Attributes:
        forget: deployments that are no longer a rollback target.
        images: to remove.
    """

    forget: tuple[Deployment, ...]
    images: tuple[Image, ...]


@dataclass(frozen=True)
class Freed:
    """What a prune has done.

    Attributes:
        images: how many were removed.
        image_bytes: their size; layers that kept images share with them are still there.
        cache_bytes: freed in the engine's build cache.
    """

    images: int = 0
    image_bytes: int = 0
    cache_bytes: int = 0

    def __str__(self) -> str:
        parts = []
        if self.images:
            many = "image" if self.images == 1 else "images"
            parts.append(f"{self.images} {many} of up to {_megabytes(self.image_bytes)}")
        if self.cache_bytes:
            parts.append(f"{_megabytes(self.cache_bytes)} of build cache")
        return f"freed {' and '.join(parts)}" if parts else "nothing to free"


def choose_target(releases: Sequence[Deployment], live: Deployment | None, version: str | None) -> Deployment:
    """The release to roll back to. Pure.

    Without a version it is the one before the live one; after a rollback, the one before that which was rolled back to, so that
    asking twice goes back two releases and not forth again.

    Args:
        releases: rollback targets, newest first, as `State.releases` gives them.
        live: the newest deployment that succeeded.

    Raises:
        UsageError: there is none, or it is live already.
    """
    if live is None:
        raise UsageError("nothing of this app was ever live, so there is nothing to go back to")
    others = [release for release in releases if release.image != live.image]
    if version is None:
        first = min((release.id for release in releases if release.image == live.image), default=live.id)
        older = [release for release in others if release.id < first]
        if older:
            return older[0]
        raise UsageError(f"no release before {live.version} is kept", _kept(others))
    found = next((release for release in others if release.version == version), None)
    if found:
        return found
    if live.version == version:
        raise UsageError(f"{version} is live already", _kept(others))
    raise UsageError(f"there is no release {version} to go back to", _kept(others))


def _kept(releases: Iterable[Deployment]) -> str:
    versions = ", ".join(dict.fromkeys(release.version for release in releases))
    return f"kept for a rollback: {versions}" if versions else "none is kept; [apps.X.retain] releases says how many are"


def plan(history: Sequence[Deployment], images: Iterable[Image], used: Collection[str], releases: int) -> Plan:
    """Decides what goes. Pure.

    Args:
        history: deployments of the app, newest first.
        images: all images with the app's label.
        used: ids of images that containers were made from.
        releases: how many different images stay, the live one included.
    """
    kept: dict[str, None] = {}
    forget: list[Deployment] = []
    for deployment in history:
        if not (deployment.status == "succeeded" and deployment.retained):
            continue
        if deployment.image in kept or len(kept) < releases:
            kept[deployment.image] = None
        else:
            forget.append(deployment)
    # An image whose deployment has not ended, or has just failed, is what the next one starts from.
    needed = {*kept, *used, *(d.image for d in history[:1]), *(d.image for d in history if not d.ended)}
    return Plan(tuple(forget), tuple(image for image in images if image.id not in needed))


def prune(engine: Engine, app: App, history: Sequence[Deployment], forget: Callable[[int], None], output: Output) -> Freed:
    """Removes the images of releases beyond `retain.releases`, and build cache beyond `retain.build_cache`.

    Call it under the app's lock.

    Args:
        history: deployments of the app, newest first, at least back to the oldest that is retained.
        forget: notes that a deployment is no longer a rollback target; called before its image goes.
    """
    used = {container.image for container in engine.containers({})}
    planned = plan(history, engine.images({APP: app.name}), used, app.retain.releases)
    for deployment in planned.forget:
        forget(deployment.id)
    removed = [image for image in planned.images if _remove(engine, app, image, output)]
    cache = engine.prune_build_cache(app.retain.build_cache) if app.retain.build_cache else 0
    return Freed(len(removed), sum(image.size for image in removed), cache)


def _remove(engine: Engine, app: App, image: Image, output: Output) -> bool:
    """Removes an image, or only the app's tags of one that somebody else has tagged too. False if it is still there."""
    name = image.labels.get("org.opencontainers.image.version") or image.labels.get(VERSION) or image.id[:19]
    foreign = [tag for tag in image.tags if not is_own_tag(app, tag)]
    try:
        if not foreign:
            return engine.remove_image(image.id)
        for tag in set(image.tags) - set(foreign):
            engine.remove_image(tag)
        output.line(f"image {name} stays: it is tagged {foreign[0]} too")
    except EngineError as error:
        output.line(f"image {name} stays: {error.reason}")
    return False


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
