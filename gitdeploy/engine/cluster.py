"""What gitdeploy asks of a cluster of engines, without a word of how: services, their tasks, the machines that run them.

`Engine.cluster` gives the real one. Importing this is free, as `engine.types` is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import EMPTY
from gitdeploy.engine.types import Credentials


@dataclass(frozen=True)
class Node:
    """A machine of the cluster.

    Attributes:
        name: its host name.
        manager: whether it is one of those that decide.
        leader: whether it is the one that the others follow.
        reachable: of a manager, whether the others reach it; True for a worker.
        state: ready, down, unknown or disconnected.
        availability: active, pause or drain.
        address: its IP address.
        platform: "linux/x86_64".
    """

    id: str
    name: str
    manager: bool = False
    leader: bool = False
    reachable: bool = True
    state: str = "ready"
    availability: str = "active"
    address: str = ""
    platform: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    @property
    def ready(self) -> bool:
        """Whether what runs there serves."""
        return self.state == "ready"

    @property
    def there(self) -> bool:
        """Whether something may run there: a new leader takes each machine for "unknown" until that has reported to it."""
        return self.state in ("ready", "unknown")


@dataclass(frozen=True)
class Membership:
    """What the engine that is asked is in the cluster.

    Attributes:
        active: whether it is in a cluster at all.
        manager: whether it may be asked for services.
        node: its id there.
        error: what the cluster itself says is wrong, "" for nothing. A manager without quorum goes on answering for a while
            from what it last knew; only this tells.
        insecure: registries that the engine speaks to without TLS, "127.0.0.1:5000" or "10.0.0.0/8".
    """

    active: bool
    manager: bool
    node: str = ""
    error: str = ""
    insecure: tuple[str, ...] = ()


@dataclass(frozen=True)
class SecretFile:
    """A secret, by id and by its name in the cluster, that a service has as a file, in /run/secrets or at a path."""

    secret: str
    secret_name: str
    file: str


@dataclass(frozen=True)
class Secret:
    """A secret of the cluster, whose content nobody gets back."""

    id: str
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ServiceSpec:
    """A service to create.

    Attributes:
        image: "repository@sha256:…", which every node can pull.
        env: NAME=VALUE pairs; secrets may pass through here, so a spec is never printed.
        networks: overlay networks by name; the first is where `aliases` hold.
        own_network: the one of them on which `run`'s names hold, "" for none.
        publish: ports of the nodes that run it, on each of them (mode "host"); () for none.
        labels: of the service and of its containers.
        healthcheck: whether the image's HEALTHCHECK is run.
        stop_timeout: seconds, None for the engine's default.
        run: options of `docker run`; those that services lack are refused by `unsupported`, and not looked at here.
        restart: as in `App.restart`.
        constraints: each "node.labels.zone==a"; all must hold.
        spread: node labels over whose values tasks are spread evenly, "node.labels.zone".
        everywhere: whether each machine that fits has one task, whatever `replicas` says.
    """

    name: str
    image: str
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    replicas: int = 1
    networks: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    own_network: str = ""
    publish: tuple[Publish, ...] = ()
    volumes: tuple[Volume, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    healthcheck: bool = True
    stop_timeout: float | None = None
    run: Run = Run()
    restart: str = "always"
    secrets: tuple[SecretFile, ...] = ()
    constraints: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()
    everywhere: bool = False


@dataclass(frozen=True)
class ClusterService:
    """A service as the cluster has it now.

    Attributes:
        image: "repository@sha256:…".
        replicas: how many tasks are wanted.
        created: RFC 3339.
        secrets: ids of those that it uses.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    image: str
    replicas: int
    created: str = ""
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceTask:
    """One container of a service, or the attempt at one.

    Attributes:
        service: id of its service.
        slot: number of the replica, from 1.
        node: id of the machine that it is on, "" while there is none for it.
        state: new, pending, assigned, preparing, starting, running, complete, failed, rejected, shutdown, …
        wanted: the state that it is to be in: "running", or "shutdown" once it has been replaced.
        error: why it failed, or what it waits for, in the cluster's own words.
        container: id of the container on its node, "" for none yet.
        exit_code: of the container, 0 if it has none.
        addresses: network → IP address.
        changed: RFC 3339, when it came into its state.
    """

    id: str
    service: str
    slot: int
    node: str
    state: str
    wanted: str
    error: str = ""
    container: str = ""
    exit_code: int = 0
    addresses: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    changed: str = ""

    @property
    def running(self) -> bool:
        """Whether it runs and is to."""
        return self.state == self.wanted == "running"


class Cluster(Protocol):
    """A cluster, spoken to through one of its managers. Every method may raise EngineError, and UnfitError as `Engine` does.

    An engine that is no manager answers NoManager to what asks for facts, `membership` apart: that costs it the least work.
    """

    def membership(self) -> Membership: ...

    def nodes(self) -> list[Node]: ...

    def services(self, labels: Mapping[str, str]) -> list[ClusterService]:
        """Return services with these labels ("" for any value), newest first."""

    def service(self, ref: str) -> ClusterService | None:
        """Return the service of that id or exact name as it is now, None if there is none."""

    def create_service(self, spec: ServiceSpec, credentials: Credentials) -> str:
        """Create a service, whose image nodes pull with the credentials; return its id. A taken name: EngineError (409)."""

    def resize_service(self, service: str, replicas: int, credentials: Credentials) -> None:
        """Have so many tasks of it; those that stay are not touched. Asked again where the service changed meanwhile."""

    def replace_service(self, service: str, spec: ServiceSpec, credentials: Credentials) -> None:
        """Make it what the spec says, its name apart; tasks that are not are replaced one after the other, each ends first."""

    def kept_service(self, service: str) -> object:
        """Return all that a service is, for `restore_service` alone to read. Raises NotFound."""

    def restore_service(self, service: str, kept: object) -> None:
        """Make a service what it was when `kept_service` was asked."""

    def label_service(self, service: str, labels: Mapping[str, str]) -> None:
        """Set these labels of the service, beside those that it has; no task is touched ("" removes one)."""

    def remove_service(self, service: str) -> bool:
        """Remove it with its tasks, without waiting for their end; return False if there was none."""

    def tasks(self, services: Sequence[str]) -> list[ServiceTask]:
        """Return all tasks that the cluster remembers of services by id, the newest of a slot first."""

    def service_logs(self, service: str, tail: int) -> list[str]:
        """Return the last lines of its tasks' output, from whatever node, each led by the task's slot and node."""

    def ensure_overlay(self, name: str, labels: Mapping[str, str]) -> str:
        """Return the id of the attachable overlay network of that name, made with these labels if there was none.

        Raises EngineError where a network of that name is no overlay that containers may join.
        """

    def subnet(self, network: str) -> str:
        """Return the addresses of an overlay network, "10.0.3.0/24", once the cluster has given it some. Raises EngineError."""

    def create_secret(self, name: str, data: bytes, labels: Mapping[str, str]) -> str:
        """Keep a secret and return its id; one of that name with these labels, made before, is taken as it is."""

    def secrets(self, labels: Mapping[str, str]) -> list[Secret]: ...

    def remove_secret(self, secret: str) -> bool:
        """Remove it; False if there was none, or a service still uses it."""
