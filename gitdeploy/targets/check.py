"""Which check tells whether a replica serves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import WEB, App
from gitdeploy.config.sections import Health
from gitdeploy.engine.types import Image


@dataclass(frozen=True)
class Check:
    """How one app is asked.

    Attributes:
        kind: "http", "tcp", "image" (its HEALTHCHECK) or "uptime".
        port: container port for http and tcp.
        exposed: what the image EXPOSEs, where that port is not among it.
    """

    kind: str
    port: int = 0
    exposed: tuple[int, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        texts = {
            "http": f"HTTP on port {self.port}",
            "tcp": f"TCP connect to port {self.port}",
            "image": "the image's HEALTHCHECK",
        }
        return texts.get(self.kind, "staying up")


def pick(health: Health, image: Image, publish: Sequence[Publish]) -> Check:
    """Return the check that applies: explicit, else the image's HEALTHCHECK, else a TCP connect, else "stays up". Pure."""
    tcp = [p.container_port for p in publish if p.protocol == "tcp"]
    exposed = sorted(int(p.partition("/")[0]) for p in image.ports if p.endswith("/tcp"))
    port = health.port or (tcp or exposed or [0])[0]
    others = () if port in exposed else tuple(exposed)
    if health.path and port:
        return Check("http", port, others)
    if health.port:
        return Check("tcp", port, others)
    if image.healthcheck:
        return Check("image")
    return Check("tcp", port, others) if port else Check("uptime")


def check_of(app: App, image: Image) -> Check:
    """Return the check of one process of an app: what the image says of ports and health, it says of "web". Pure."""
    own = image if app.process == WEB else replace(image, ports=(), healthcheck=False)
    led = (Publish("", app.led_to, app.led_to),) if app.led_to else ()
    return pick(app.health, own, (*app.publish, *led))
