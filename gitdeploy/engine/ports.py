"""Which container holds a host port. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gitdeploy.config.attachments import Publish
from gitdeploy.engine.types import Container


def port_holder(containers: Iterable[Container], publish: Publish) -> Container | None:
    """Return the first of these containers that asks for the same host port on an overlapping address, None if none does."""
    return next((container for container in containers if any(publish.clashes(other) for other in container.publish)), None)


def port_taken_by(containers: Iterable[Container], ports: Iterable[Publish], app: str) -> tuple[str, str]:
    """Return which of these containers holds one of an app's ports, in words, and what to do; ("", "") if none does.

    Args:
        containers: those that are in the app's way, running ones.
        app: its name.
    """
    found = list(containers)
    for port in ports:
        if holder := port_holder(found, port):
            reason = f"host port {port.host_port} is taken by container {holder.name} ({holder.image_ref})"
            return reason, f"stop that container, or change `publish` of {app} in config.toml"
    return "", ""
