"""Networks of the Docker Engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitdeploy.engine import mapping
from gitdeploy.engine.transport import Api, part
from gitdeploy.errors import EngineError, NotFound


class Networks:
    """The part of `types.Engine` about networks; every method is documented there."""

    _api: Api

    def ensure_network(self, name: str, labels: Mapping[str, str]) -> str:
        if found := self._network(name):
            return found
        try:
            created: str = self._api.create_network(name, "bridge", check_duplicate=True, labels=dict(labels))["Id"]
        except EngineError as error:
            if error.status == 409 and (found := self._network(name)):  # someone else was as quick
                return found
            raise
        return created

    def connect(self, network: str, container: str, aliases: Sequence[str] = ()) -> None:
        self._api.call("GET", f"/networks/{part(network)}")  # a stopped container would take one that there is not
        self._api.connect_container_to_network(container, network, aliases=list(aliases))

    def disconnect(self, network: str, container: str) -> None:
        self._api.disconnect_container_from_network(container, network)

    def networks(self, labels: Mapping[str, str]) -> list[str]:
        return [network["Name"] for network in self._api.networks(filters={"label": mapping.label_filter(labels)})]

    def remove_network(self, name: str) -> bool:
        try:
            self._api.call("DELETE", f"/networks/{part(name)}")
        except NotFound:
            return False
        return True

    def _network(self, name: str) -> str | None:
        """The id of the network of exactly that name: the engine would also take the beginning of an id."""
        try:
            network = self._api.call("GET", f"/networks/{part(name)}").json()
        except NotFound:
            return None
        found: str = network["Id"]
        return found if network["Name"] == name else None
