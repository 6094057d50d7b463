"""Which container holds a host port. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gitdeploy.config.model import Publish
from gitdeploy.engine.types import Container

ANY = ("", "0.0.0.0", "::")


def port_holder(containers: Iterable[Container], publish: Publish) -> Container | None:
    """The first of these containers that asks for the same host port on an overlapping address, None if none does."""
    for container in containers:
        for other in container.publish:
            same_port = other.host_port == publish.host_port and other.protocol == publish.protocol
            if same_port and (other.host_ip == publish.host_ip or other.host_ip in ANY or publish.host_ip in ANY):
                return container
    return None
