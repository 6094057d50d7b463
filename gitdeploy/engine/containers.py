"""Containers of the Docker Engine: their life from creation to removal."""

from __future__ import annotations

import time
from collections.abc import Mapping

from gitdeploy.engine import mapping
from gitdeploy.engine.diagnosis import container_failure
from gitdeploy.engine.madewith import MadeWith, made_with
from gitdeploy.engine.networks import inspect_network, require_address
from gitdeploy.engine.transport import SLOW, TIMEOUT, Api, TimedOut, part
from gitdeploy.engine.types import Container, ContainerSpec
from gitdeploy.errors import EngineError, NotFound

OWN_STOP = 3600.0
"""Seconds for a stop whose time is the container's own."""

ATTACH_AGAIN = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further try to start a container whose overlay network an engine does not find at the moment."""

NO_NETWORK_YET = ("Could not attach to network", "not found")
"""What engine 20.10 says then: when the last container of an overlay stops, it forgets the network for a while."""

REMOVAL = 60.0
"""Seconds for a removal that was begun by someone else, such as a run that was killed meanwhile."""


def inspect(api: Api, ref: str) -> mapping.Json | None:
    """Return what the engine says about a container, None if there is none."""
    try:
        found: mapping.Json = api.call("GET", f"/containers/{part(ref)}/json").json()
    except NotFound:
        return None
    return found


class Containers:
    """The part of `types.Engine` about containers; every method is documented there."""

    _api: Api
    _logs: dict[tuple[str, tuple[tuple[str, str], ...]], mapping.Json]
    """A log configuration that was asked for → the one that a container gets."""

    def containers(self, labels: Mapping[str, str], *, all: bool = True) -> list[Container]:
        listed = self._api.containers(all=all, filters={"label": mapping.label_filter(labels)})
        found = (inspect(self._api, entry["Id"]) for entry in listed)
        # One may be gone since; and labels say whose a container is only where gitdeploy wrote them.
        return [mapping.container(facts) for facts in found if facts and not (labels and mapping.is_build_step(facts))]

    def container(self, ref: str) -> Container | None:
        facts = inspect(self._api, ref)
        return mapping.container(facts) if facts else None

    def made_with(self, container: str) -> tuple[MadeWith, ...]:
        facts = inspect(self._api, container) or {}
        try:
            image = self._api.call("GET", f"/images/{part(facts.get('Image') or 'none')}/json").json()
        except EngineError:
            image = {}
        return made_with(facts, image)

    def create(self, spec: ContainerSpec) -> str:
        # The engine would take a network that there is not, and fail at the start.
        for network in spec.networks:
            require_address(spec, inspect_network(self._api, network))
        created = self._create(spec)
        try:
            for network in spec.networks[1:]:
                body = {"Container": created, "EndpointConfig": mapping.endpoint(spec, network)}
                self._api.call("POST", f"/networks/{part(network)}/connect", json=body)
        except EngineError:
            self.remove(created, force=True)
            raise
        return created

    def _create(self, spec: ContainerSpec) -> str:
        """Create it with a log that ends somewhere.

        What daemon.json says of logs only shows in a container that was made: one that turns out unbounded is made again, the
        next ones of this kind are made right at once.
        """
        body = mapping.creation(spec)
        log = body["HostConfig"]["LogConfig"]
        kind = (log["Type"], tuple(log["Config"].items()))
        body["HostConfig"]["LogConfig"] = self._logs.get(kind, log)
        created = self._post(spec.name, body)
        if kind in self._logs or spec.attended:
            return created
        facts = inspect(self._api, created)
        self._logs[kind] = mapping.bounded_log(facts or {}) or log
        if self._logs[kind] is log:
            return created
        self.remove(created, force=True)
        body["HostConfig"]["LogConfig"] = self._logs[kind]
        return self._post(spec.name, body)

    def _post(self, name: str, body: mapping.Json) -> str:
        try:
            created: str = self._api.call("POST", "/containers/create", params={"name": name}, json=body).json()["Id"]
        except NotFound:
            raise
        except EngineError as error:
            raise container_failure(error) from error
        return created

    def start(self, container: str) -> None:
        for pause in (*ATTACH_AGAIN, None):
            try:
                self._api.call("POST", f"/containers/{part(container)}/start")
            except EngineError as error:
                if pause is None or not all(words in error.reason for words in NO_NETWORK_YET):
                    raise container_failure(error) from error
                time.sleep(pause)
            else:
                return

    def stop(self, container: str, timeout: float | None = None) -> None:
        params = {} if timeout is None else {"t": mapping.whole_seconds(timeout)}
        patience = OWN_STOP if timeout is None else timeout
        self._api.call("POST", f"/containers/{part(container)}/stop", params=params, timeout=patience + TIMEOUT)

    def remove(self, container: str, *, force: bool = False) -> bool:
        path = f"/containers/{part(container)}"
        try:
            self._api.call("DELETE", path, params={"v": 1, "force": int(force)}, timeout=SLOW)
        except NotFound:
            return False
        except EngineError as error:
            if "already in progress" not in error.reason:
                raise
            self._await(container, "removed", REMOVAL)
        return True

    def rename(self, container: str, name: str) -> None:
        try:
            self._api.rename(container, name)
        except EngineError as error:
            if "on rename" not in error.reason:
                raise
            self._rename_apart(container, name)

    def _rename_apart(self, container: str, name: str) -> None:
        """Rename it off its networks for a moment: engines fail to do so on an overlay, where the old name stays taken."""
        networks = ((inspect(self._api, container) or {}).get("NetworkSettings") or {}).get("Networks") or {}
        for network in networks:
            self._api.disconnect_container_from_network(container, network)
        try:
            self._api.rename(container, name)
        finally:
            for network, endpoint in networks.items():
                aliases = [alias for alias in endpoint.get("Aliases") or () if not container.startswith(alias)]
                self._api.connect_container_to_network(container, network, aliases=aliases)

    def signal(self, container: str, name: str) -> None:
        self._api.kill(container, name)

    def wait(self, container: str, timeout: float) -> int | None:
        return self._await(container, "not-running", timeout)

    def set_restart(self, container: str, policy: str) -> None:
        body = {"RestartPolicy": mapping.restart_policy(policy)}
        self._api.call("POST", f"/containers/{part(container)}/update", json=body)

    def _await(self, container: str, condition: str, timeout: float) -> int | None:
        """Wait until the condition holds; return the exit code, None if `timeout` seconds passed."""
        path = f"/containers/{part(container)}/wait"
        try:
            answer = self._api.call("POST", path, params={"condition": condition}, timeout=max(timeout, 0.001)).json()
        except TimedOut:
            return None
        except NotFound:
            if condition == "removed":
                return 0
            raise
        code: int = answer["StatusCode"]
        return code
