"""Volumes without a name, which a VOLUME of the image makes with each container: what is kept there must go on. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gitdeploy.config.attachments import Volume
from gitdeploy.config.model import App
from gitdeploy.engine.types import Container
from gitdeploy.errors import StageFailed

NAMELESS = re.compile("[0-9a-f]{64}")
"""What an engine calls a volume that was given no name."""


def nameless(app: App, container: Container) -> tuple[Volume, ...]:
    """Return the container's volumes without a name, but those in whose place the app mounts something."""
    mounted = {volume.target for volume in app.volumes}
    return tuple(v for v in container.mounts if NAMELESS.fullmatch(v.source) and v.target not in mounted)


def require_named(app: App, old: Iterable[Container]) -> None:
    """Raise StageFailed if the next release, beside the old one, would begin with empty volumes."""
    targets = sorted({volume.target for container in old for volume in nameless(app, container)})
    if targets:
        name = f"{app.container}{targets[0].replace('/', '-')}"
        reason = f"the old release may keep data in {', '.join(targets)}, a VOLUME of its image without a name: the new one"
        reason += " would begin without it"
        hint = f'give it a name: volumes = ["{name}:{targets[0]}"] for {app.name} in config.toml (copy into it what is there), '
        raise StageFailed(reason, hint + 'or use strategy "recreate", which takes it along')
