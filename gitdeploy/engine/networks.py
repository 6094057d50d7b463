"""Networks and named volumes of the Docker Engine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network

from gitdeploy.engine import mapping
from gitdeploy.engine.transport import Api, part
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import EngineError, NotFound

REMOVAL = 30.0
"""Seconds until an overlay network that was removed has to be gone; the engine says nothing when it is."""

LOOK = 0.1
"""Seconds between two looks for it."""


def inspect_network(api: Api, name: str) -> mapping.Json:
    """Return the facts of the network of exactly that name: the engine takes the beginning of an id, too. Raises NotFound."""
    found: mapping.Json = api.call("GET", f"/networks/{part(name)}").json()
    if found["Name"] != name:
        raise NotFound(f"network {name} not found", 404)
    return found


def require_address(spec: ContainerSpec, network: mapping.Json) -> None:
    """Raise EngineError if the container is to have an address on this network that cannot be had there. Pure."""
    configured = [str(pool.get("Subnet") or "") for pool in (network.get("IPAM") or {}).get("Config") or ()]
    for key, address in (("run.ip", spec.run.ip), ("run.ip6", spec.run.ip6)):
        if not address or network["Name"] != spec.own_network:
            continue
        if not any(subnet and ip_address(address) in ip_network(subnet, strict=False) for subnet in configured):
            reason = f"{key}: {address} is in no subnet of the network {network['Name']} ({', '.join(configured) or 'none'})"
            raise EngineError(reason, hint="choose another address, or make that network with --subnet")


class Networks:
    """The part of `types.Engine` about networks and volumes; every method is documented there."""

    _api: Api

    def ensure_network(self, name: str, labels: Mapping[str, str]) -> str:
        with suppress(NotFound):
            return str(inspect_network(self._api, name)["Id"])
        try:
            created: str = self._api.create_network(name, "bridge", check_duplicate=True, labels=dict(labels))["Id"]
        except EngineError as error:
            if error.status == 409:  # someone else was as quick
                with suppress(NotFound):
                    return str(inspect_network(self._api, name)["Id"])
            raise
        return created

    def connect(self, network: str, container: str, aliases: Sequence[str] = ()) -> None:
        inspect_network(self._api, network)  # a stopped container would take one that there is not
        self._api.connect_container_to_network(container, network, aliases=list(aliases))

    def disconnect(self, network: str, container: str) -> None:
        self._api.disconnect_container_from_network(container, network)

    def networks(self, labels: Mapping[str, str]) -> list[str]:
        return [network["Name"] for network in self._api.networks(filters={"label": mapping.label_filter(labels)})]

    def network(self, name: str) -> Mapping[str, str] | None:
        try:
            return inspect_network(self._api, name).get("Labels") or {}
        except NotFound:
            return None

    def remove_network(self, name: str) -> bool:
        try:
            self._api.call("DELETE", f"/networks/{part(name)}")
        except NotFound:
            return False
        # An overlay is only marked by then: for a moment it is still found, and nothing can be attached to it.
        end = time.monotonic() + REMOVAL
        while self.network(name) is not None:
            if time.monotonic() >= end:
                raise EngineError(f"the network {name} was removed and is still listed after {REMOVAL:.0f} s", hint="try again")
            time.sleep(LOOK)
        return True

    def volume(self, name: str) -> Mapping[str, str] | None:
        try:
            found: mapping.Json = self._api.call("GET", f"/volumes/{part(name)}").json()
        except NotFound:
            return None
        return found.get("Labels") or {}

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        self._api.call("POST", "/volumes/create", json={"Name": name, "Labels": dict(labels)})
