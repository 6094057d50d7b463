"""What a Dockerfile out of a pushed tree may take: frontends and base images. Pure.

Whoever pushes writes the Dockerfile. A frontend is a program that the engine runs in place of its own reader of Dockerfiles: it
may mount any cache and any image on the engine, and asks for the build's secrets. And an image on the engine is taken for FROM
without asking anybody, though the registry would refuse it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gitdeploy.config.imagereference import image_key, parse, path_key
from gitdeploy.config.model import App
from gitdeploy.config.problems import quoted
from gitdeploy.engine.directives import frontends
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP


def check_frontends(text: str, app: App) -> None:
    """Raises StageFailed if the Dockerfile names a frontend that is not in build.frontends."""
    allowed = {image_key(image) for image in app.build.frontends}
    for line, image in frontends(text):
        if _key(image) not in allowed:
            reason = f"{app.build.dockerfile} line {line}: expected a frontend of build.frontends" + (
                f" ({', '.join(app.build.frontends)})" if app.build.frontends else " (none)"
            )
            raise StageFailed(
                f"{reason}, found {quoted(image) if image else 'one that cannot be read'}",
                f'take the line out, or let the server allow the image: build.frontends in [apps."{app.name}"] of config.toml',
            )


def check_base(image: str, labels: Mapping[str, str], app: App, others: Iterable[App]) -> None:
    """Raises StageFailed if an image that the Dockerfile builds on is another app's, and not in build.bases.

    What has the path of another app's image counts as that image in every registry, for a registry goes by many names.

    Args:
        image: as the Dockerfile names it.
        labels: those that it has on the engine; none if it is not there.
        others: all apps of this server but `app`.
    """
    key = _key(image)
    if key == image_key(app.image) or key in {image_key(base) for base in app.build.bases}:
        return
    path = path_key(image)
    other = next((other for other in others if path and path_key(other.image) == path), None)
    owner = other.name if other else labels.get(APP, app.name)
    if owner == app.name:
        return
    alias = other is not None and image_key(other.image) != key
    raise StageFailed(
        f"{app.build.dockerfile} takes {quoted(image, 255)}, which {'may be' if alias else 'is'} an image of the app "
        + quoted(owner)
        + (": it has the same path, and one registry goes by many names" if alias else ""),
        f'take another base image, or let the server allow it: build.bases in [apps."{app.name}"] of config.toml',
    )


def _key(image: str) -> str:
    """One spelling for all of a repository's, "" for what is no name of an image."""
    found = parse(image)
    return found.key if found else ""
