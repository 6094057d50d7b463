"""What joins a container to its host: published ports and mounts, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Publish:
    """One published port: "8080:80", "127.0.0.1:8080:80", "[::1]:8080:80", "53:53/udp".

    Attributes:
        host_ip: address on the host, without brackets, "" for all.
        host_port: port on the host.
        container_port: port in the container.
        protocol: "tcp" or "udp".
    """

    host_ip: str
    host_port: int
    container_port: int
    protocol: Literal["tcp", "udp"] = "tcp"

    def clashes(self, other: Publish) -> bool:
        """Return whether both ask for one port of the host: "" takes it on every address, 0.0.0.0 and :: on those of a kind."""
        if (self.host_port, self.protocol) != (other.host_port, other.protocol):
            return False
        ips = {self.host_ip, other.host_ip}
        same_kind = (":" in self.host_ip) == (":" in other.host_ip)
        return len(ips) == 1 or "" in ips or (same_kind and not ips.isdisjoint({"0.0.0.0", "::"}))

    def __str__(self) -> str:
        host_ip = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        ip = f"{host_ip}:" if host_ip else ""
        proto = "/udp" if self.protocol == "udp" else ""
        return f"{ip}{self.host_port}:{self.container_port}{proto}"


@dataclass(frozen=True)
class Volume:
    """One mount: "/srv/data:/data", "name:/data:ro,z".

    Attributes:
        source: absolute host path or volume name.
        target: absolute path in the container.
        read_only: whether the container may not write.
        options: what else Docker takes there: z, Z, nocopy, rslave and the like.
    """

    source: str
    target: str
    read_only: bool = False
    options: tuple[str, ...] = ()

    @property
    def is_path(self) -> bool:
        """Whether it mounts a path of the host and not a named volume."""
        return self.source.startswith("/")

    def __str__(self) -> str:
        modes = [*(["ro"] if self.read_only else []), *self.options]
        return ":".join([self.source, self.target, *([",".join(modes)] if modes else [])])
