"""Which container holds a host port. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gitdeploy.config.model import Publish
from gitdeploy.engine.types import Container


def port_holder(containers: Iterable[Container], publish: Publish) -> Container | None:
    """Return the first of these containers that asks for the same host port on an overlapping address, None if none does."""
    return next((container for container in containers if any(publish.clashes(other) for other in container.publish)), None)
