"""Docker Swarm behind the `cluster.Cluster` protocol: services, tasks, nodes, overlay networks and secrets."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import requests

from gitdeploy.config.imagereference import registry
from gitdeploy.engine import servicemapping as services
from gitdeploy.engine.cluster import ClusterService, Membership, Node, Secret, ServiceSpec, ServiceTask
from gitdeploy.engine.demultiplexer import Demultiplexer
from gitdeploy.engine.election import Election, leaderless
from gitdeploy.engine.inside import joined
from gitdeploy.engine.lines import Lines
from gitdeploy.engine.mapping import Json, label_filter, moment
from gitdeploy.engine.networks import LOOK, inspect_network
from gitdeploy.engine.registries import authorization
from gitdeploy.engine.servicelogs import told
from gitdeploy.engine.transport import Api, TimedOut, part
from gitdeploy.engine.types import Credentials
from gitdeploy.errors import EngineError, NoManager, NotFound

ATTEMPTS = 5
"""At a change of a service that somebody else changes at the same moment: the cluster itself does, too."""

PASSED = "update out of sequence"
"""What the engine says, with HTTP 500, to a change of a version that is not the newest any more."""

ALONE = "not a swarm manager"
"""What the engine says, with HTTP 503, if it is in no cluster or a worker of one; of a manager that has just begun, too."""

ALLOCATION = 15.0
"""Seconds for the cluster to give a new network its addresses."""

SILENCE = 5.0
"""Seconds without another byte after which logs are taken for whole: some tasks' may never come."""


class SwarmCluster:
    """A `Cluster`; every method is documented there."""

    def __init__(self, api: Api, patience: float = 0.0) -> None:
        """`patience`: seconds to wait for a new leader, at each call."""
        self._api = api
        self._election = Election(patience)

    def membership(self) -> Membership:
        return services.membership(self._get("/info"))

    def nodes(self) -> list[Node]:
        return sorted(map(services.node, self._get("/nodes")), key=lambda node: node.name)

    def services(self, labels: Mapping[str, str]) -> list[ClusterService]:
        listed = self._get("/services", filters={"label": label_filter(labels)})
        return sorted(map(services.service, listed), key=lambda service: moment(service.created), reverse=True)

    def service(self, ref: str) -> ClusterService | None:
        try:
            return services.service(self._inspect(ref))
        except NotFound:
            return None

    def create_service(self, spec: ServiceSpec, credentials: Credentials) -> str:
        headers = _login(spec.image, credentials)
        waits = self._election.waits
        try:
            answer = self._call("POST", "/services/create", json=services.service_creation(spec), headers=headers)
        except EngineError as error:
            made = services.service(self._inspect(spec.name)) if error.status == 409 and self._election.waits > waits else None
            if made is None or made.labels != spec.labels:
                raise
            return made.id
        created: str = answer.json()["ID"]
        return created

    def resize_service(self, service: str, replicas: int, credentials: Credentials) -> None:
        def resize(spec: dict[str, Any]) -> None:
            if "Replicated" not in spec["Mode"]:
                raise EngineError(f"service {spec['Name']} has no number of replicas", 400)
            spec["Mode"]["Replicated"]["Replicas"] = replicas

        self._change(service, resize, credentials)

    def replace_service(self, service: str, spec: ServiceSpec, credentials: Credentials) -> None:
        wanted = services.service_creation(spec)
        self._change(service, lambda found: found.update({**wanted, "Name": found["Name"]}), credentials)

    def kept_service(self, service: str) -> object:
        return self._inspect(service)["Spec"]

    def restore_service(self, service: str, kept: object) -> None:
        def restore(spec: dict[str, Any]) -> None:
            assert isinstance(kept, dict)
            spec.clear()
            spec.update(kept)

        self._change(service, restore)

    def label_service(self, service: str, labels: Mapping[str, str]) -> None:
        def label(spec: dict[str, Any]) -> None:
            wanted = {**(spec.get("Labels") or {}), **labels}
            spec["Labels"] = {name: value for name, value in wanted.items() if value or name not in labels}

        self._change(service, label)

    def remove_service(self, service: str) -> bool:
        return self._delete(f"/services/{part(service)}")

    def tasks(self, services_: Sequence[str]) -> list[ServiceTask]:
        if not services_:
            return []
        try:
            listed = self._get("/tasks", filters={"service": list(services_)})
        except NotFound:  # one is gone, and some of its tasks may not be yet
            listed = [found for found in self._get("/tasks") if found.get("ServiceID") in services_]
        newest = sorted(listed, key=lambda found: moment(found.get("CreatedAt") or ""), reverse=True)
        return sorted(map(services.task, newest), key=lambda task: (services_.index(task.service), task.slot))

    def service_logs(self, service: str, tail: int) -> list[str]:
        asked = {"stdout": 1, "stderr": 1, "timestamps": 1, "details": 1, "tail": tail}
        pieces, parts = [], Demultiplexer()
        answer = self._call("GET", f"/services/{part(service)}/logs", params=asked, stream=True, timeout=SILENCE)
        with contextlib.closing(answer):
            try:
                for data in answer.iter_content(chunk_size=None):
                    pieces += [piece for _, piece in parts.feed(data)]
            except (requests.RequestException, OSError) as error:
                broken = self._api.broken(error)
                if not isinstance(broken, TimedOut):
                    raise broken from error
        lines = Lines()
        output = lines.feed(joined(pieces)) + lines.rest()
        return told(output, self.tasks([service]), self.nodes(), tail)

    def ensure_overlay(self, name: str, labels: Mapping[str, str]) -> str:
        with contextlib.suppress(NotFound):
            return self._overlay(name)
        body = {"Name": name, "Driver": "overlay", "Attachable": True, "CheckDuplicate": True, "Labels": dict(labels)}
        try:
            created: str = self._call("POST", "/networks/create", json=body).json()["Id"]
        except EngineError as error:
            if error.status == 409:  # someone else was as quick
                with contextlib.suppress(NotFound):
                    return self._overlay(name)
            raise
        return created

    def subnet(self, network: str) -> str:
        end = time.monotonic() + ALLOCATION
        while True:
            pools = (inspect_network(self._api, network).get("IPAM") or {}).get("Config") or ()
            if found := next((pool["Subnet"] for pool in pools if pool.get("Subnet")), ""):
                return str(found)
            if time.monotonic() > end:
                raise EngineError(f"the cluster gave the network {network} no addresses within {ALLOCATION:.0f} s")
            time.sleep(LOOK)

    def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        body = {"Name": name, "Labels": dict(labels), "Data": base64.b64encode(data).decode()}
        try:
            created: str = self._call("POST", "/secrets/create", json=body).json()["ID"]
        except EngineError as error:
            same = [secret for secret in self.secrets(labels) if secret.name == name] if error.status == 409 else []
            if not same:
                raise
            return same[0].id
        return created

    def secrets(self, labels: Mapping[str, str]) -> list[Secret]:
        return [services.secret(found) for found in self._get("/secrets", filters={"label": label_filter(labels)})]

    def remove_secret(self, secret: str) -> bool:
        try:
            return self._delete(f"/secrets/{part(secret)}")
        except EngineError as error:
            if "in use" in error.reason:
                return False
            raise

    def _overlay(self, name: str) -> str:
        """Return the id of the overlay network of that name. Raises NotFound, and EngineError for a network of another kind."""
        found = inspect_network(self._api, name)
        driver = found.get("Driver") or "overlay"  # a new one has none for a moment, until the cluster has dealt with it
        if driver == "overlay" and found.get("Scope") == "swarm" and found.get("Attachable"):
            return str(found["Id"])
        kind = "an overlay that containers may not join" if driver == "overlay" else f"a {driver}"
        hint = f"remove it, or make it with `docker network create --driver overlay --attachable {name}`"
        raise EngineError(f"network {name}: expected an attachable overlay of the cluster, found {kind}", 409, hint)

    def _inspect(self, ref: str) -> Json:
        """Return the facts of the service of that id or exact name; the engine takes the beginning of an id, too."""
        found: Json = self._get(f"/services/{part(ref)}")
        if ref not in (found["ID"], found["Spec"]["Name"]):
            raise NotFound(f"service {ref} not found", 404)
        return found

    def _change(self, ref: str, change: Callable[[dict[str, Any]], None], credentials: Credentials | None = None) -> None:
        """Change a service by what it is now; without credentials, its nodes keep those that they have."""
        for attempt in range(ATTEMPTS):
            found = self._inspect(ref)
            spec = copy.deepcopy(found["Spec"])
            change(spec)
            if spec == found["Spec"]:
                return
            headers = _login(spec["TaskTemplate"]["ContainerSpec"]["Image"], credentials) if credentials else {}
            try:
                params = {"version": found["Version"]["Index"]}
                self._call("POST", f"/services/{found['ID']}/update", params=params, json=spec, headers=headers)
                return
            except EngineError as error:
                if PASSED not in error.reason or attempt + 1 == ATTEMPTS:
                    raise

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._election.ask(lambda: self._api.call(method, path, **options))

    def _get(self, path: str, *, filters: Mapping[str, Sequence[str]] | None = None) -> Any:
        params = {"filters": json.dumps(filters)} if filters and any(filters.values()) else None
        try:
            return self._call("GET", path, params=params).json()
        except EngineError as error:
            if ALONE in error.reason and not leaderless(error.reason):
                raise NoManager(error.reason, error.status, error.hint) from error
            raise

    def _delete(self, path: str) -> bool:
        try:
            self._call("DELETE", path)
        except NotFound:
            return False
        return True


def _login(image: str, credentials: Credentials) -> dict[str, str]:
    """Return the header with the login that every node gets, to pull the image."""
    return {"X-Registry-Auth": authorization(credentials(registry(image)))}
