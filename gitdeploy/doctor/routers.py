"""The routers: whether the image that they run is still what its name means."""

from __future__ import annotations

from collections.abc import Iterator

from gitdeploy.doctor.finding import Finding
from gitdeploy.engine.protocol import Engine
from gitdeploy.releases.release import APP, ROLE
from gitdeploy.targets.router.container import image_name


def examine_routers(engine: Engine) -> Iterator[Finding]:
    """Tell of names that have come to mean another image since routers were made of it."""
    routers: dict[tuple[str, str], list[str]] = {}
    for router in engine.containers({ROLE: "router"}):
        routers.setdefault((image_name(router), router.image), []).append(router.labels.get(APP, router.name))
    for (name, runs), apps in routers.items():
        image = engine.image(name)
        if image is None or image.id == runs:
            continue
        found = f"{name} is now {image.id[:19]}; the routers of {', '.join(sorted(apps))} run {runs[:19]}, and will"
        digest = next(iter(image.digests), "")
        take = f'router.image = "{digest}"' if digest else "give it another tag, and name that in router.image"
        yield Finding("warning", "router", found, f"to take the new one at the next deployment: {take}")
