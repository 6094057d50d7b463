"""What is kept for a rollback, and what goes: which releases, which images; and which release to roll back to.

Only images with the app's label are looked at, so nothing goes that gitdeploy did not make.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Builder
from gitdeploy.engine.types import Image, Output
from gitdeploy.errors import EngineError, RegistryError, StageFailed, UsageError
from gitdeploy.releases.imagenames import is_own, is_own_tag, own_name
from gitdeploy.releases.publictags import settle_all
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.release import APP, TREE, VERSION

Whereabouts = Literal["engine", "registry", "nowhere"]


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
    """Return the release to roll back to. Pure.

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


def image_of(app: App, deployment: Deployment, images: Sequence[Image]) -> Image | None:
    """Return the image that a deployment ran, None if it is not among these. Pure.

    By its recorded id, else by the name that gitdeploy gave it, else by its tree: an image that was moved to another engine or
    another image store has another id. Never an image of another tree than the recorded one.

    Args:
        images: all with the app's label, newest first.
    """
    name = own_name(app.name, deployment.id, deployment.tree)
    right = [image for image in images if image.labels.get(TREE, "") == deployment.tree]
    by_id = [image for image in right if image.id == deployment.image]
    by_name = [image for image in right if name in image.tags]
    by_tree = [image for image in right if deployment.tree and is_own(image, app)]
    return next(iter([*by_id, *by_name, *by_tree]), None)


def whereabouts(app: App, deployment: Deployment, images: Sequence[Image]) -> Whereabouts:
    """Return where the image of a deployment can be had from, should its release run again. Pure.

    Takes the configuration that it ran with, and all images with the app's label.
    """
    if deployment.status != "succeeded" or not deployment.retained:
        return "nowhere"
    if image_of(app, deployment, images):
        return "engine"
    return "registry" if deployment.digest and app.push.enabled else "nowhere"


def find_image(builder: Builder, app: App, release: Deployment, pull: Callable[[str], str]) -> Image | None:
    """Return the image of a release, None if it is neither on the engine nor, by its digest, in the registry.

    Args:
        app: the configuration that the release ran with.
        pull: pulls a reference and returns the image's id.

    Raises:
        RegistryError: the registry cannot be asked; one that says that it has no such image is no error.
    """
    if found := image_of(app, release, builder.images({APP: app.name})):
        return found
    if not (release.digest and app.push.enabled):
        return None
    try:
        image = builder.image(pull(f"{app.image}@{release.digest}"))
    except RegistryError as error:
        if error.transient:
            raise
        return None
    right = image is not None and (image.labels.get(APP), image.labels.get(TREE)) == (app.name, release.tree)
    return image if right else None


def live_image(builder: Builder, app: App, live: Deployment) -> Image:
    """Return the image of what is live. Raises StageFailed if the engine has it no more."""
    image = builder.image(live.image) if live.image else None
    if image is None or image.labels.get(TREE, "") != live.tree:
        image = image_of(app, live, builder.images({APP: app.name}))
    if image is None:
        reason = f"the image of {app.name} {live.version}, which is live, is no longer on the engine"
        raise StageFailed(reason, f"gitdeploy deploy {app.name} builds it again")
    return image


def plan(app: App, history: Sequence[Deployment], images: Sequence[Image], used: Collection[str]) -> Plan:
    """Decide what goes beyond `retain.releases` different images, the live one included. Pure.

    Args:
        history: deployments of the app, newest first.
        images: all with the app's label, newest first.
        used: ids of images that something was made from where releases run.
    """

    def image_id(deployment: Deployment) -> str:
        found = image_of(app, deployment, images)
        return found.id if found else deployment.image

    kept: dict[str, None] = {}
    forget: list[Deployment] = []
    for deployment in history:
        if not (deployment.status == "succeeded" and deployment.retained):
            continue
        image = image_id(deployment)
        if image in kept or len(kept) < app.retain.releases:
            kept[image] = None
        else:
            forget.append(deployment)
    # An image whose deployment has not ended, or has just failed, is what the next one starts from.
    needed = {*kept, *used, *map(image_id, history[:1]), *(image_id(d) for d in history if not d.ended)}
    return Plan(tuple(forget), tuple(image for image in images if image.id not in needed))


def prune(
    builder: Builder,
    app: App,
    history: Sequence[Deployment],
    *,
    used: Collection[str],
    forget: Callable[[int], None],
    output: Output,
) -> Freed:
    """Remove the images of releases beyond `retain.releases`, and build cache beyond `retain.build_cache`.

    Call it under the app's lock.

    Args:
        history: deployments of the app, newest first, at least back to the oldest that is retained.
        used: ids of images that something was made from where releases run.
        forget: notes that a deployment is no longer a rollback target; called before its image goes.
    """
    images = builder.images({APP: app.name})
    settle_all(builder, app, images)
    planned = plan(app, history, images, used)
    for deployment in planned.forget:
        forget(deployment.id)
    removed = [image for image in planned.images if _remove(builder, app, image, output)]
    cache = builder.prune_build_cache(app.retain.build_cache) if app.retain.build_cache else 0
    return Freed(len(removed), sum(image.size for image in removed), cache)


def _remove(builder: Builder, app: App, image: Image, output: Output) -> bool:
    """Remove an image, or only the app's tags of one that somebody else has tagged too. False if it is still there."""
    name = image.labels.get("org.opencontainers.image.version") or image.labels.get(VERSION) or image.id[:19]
    foreign = [tag for tag in image.tags if not is_own_tag(app, tag)]
    try:
        if not foreign:
            return builder.remove_image(image.id)
        for tag in set(image.tags) - set(foreign):
            builder.remove_image(tag)
        output.line(f"image {name} stays: it is tagged {foreign[0]} too")
    except EngineError as error:
        output.line(f"image {name} stays: {error.reason}")
    return False


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
