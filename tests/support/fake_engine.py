"""An engine in memory for tables of decisions and for faults at any call; test_contract.py holds it to the real one.

Time stands still in it: a container reaches the end of what `Run` says of it at its start, and `wait` does not wait.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from gitdeploy.config.sections import EMPTY
from gitdeploy.engine.contexts import BuildContext
from gitdeploy.engine.madewith import MadeWith
from gitdeploy.engine.ports import port_holder
from gitdeploy.engine.types import NEVER, BuildRequest, Cancel, Container, ContainerSpec, Credentials, EngineInfo, Image, Output
from gitdeploy.errors import Cancelled, EngineError, NotFound, RegistryError
from tests.support.alone import InNoCluster

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True)
class Run:
    """What a container does once it is started.

    Attributes:
        exit_code: with which it ends at once, None if it runs until it is stopped.
        health: what its HEALTHCHECK says, "" without one.
    """

    exit_code: int | None = None
    health: str = ""
    output: tuple[str, ...] = ()


@dataclass
class _Inside:
    """What an inspected container does not show."""

    spec: ContainerSpec
    networks: list[str]
    output: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    signals: list[str] = field(default_factory=list)


def _call(method: Method) -> Method:
    """Tells `before` of the call, and lets one thread in at a time."""

    @functools.wraps(method)
    def called(self: FakeEngine, *args: Any, **options: Any) -> Any:
        self.calls.append(method.__name__)
        self.before(method.__name__)
        with self._lock:
            return method(self, *args, **options)

    return called  # type: ignore[return-value]


class FakeEngine(InNoCluster):
    """An `engine.types.Engine`.

    Attributes:
        before: called with the name of each method before it does anything; what it raises is what the caller gets.
        calls: names of the methods called, in order.
        behave: what a container of that spec does when it is started.
        on_exec: what a command in a container returns, from its name, the command and its input.
        registry: what was pushed and can be pulled, "repository:tag" → image.
        used_ports: host ports that programs outside the engine use.
    """

    def __init__(
        self,
        *,
        before: Callable[[str], object] = lambda name: None,
        behave: Callable[[ContainerSpec], Run] = lambda spec: Run(),
    ) -> None:
        self.before = before
        self.behave = behave
        self.on_exec: Callable[[str, Sequence[str]], tuple[int, bytes]] = lambda name, command: (0, b"")
        self.calls: list[str] = []
        self.registry: dict[str, Image] = {}
        self.used_ports: set[int] = set()
        self._images: dict[str, Image] = {}
        self._containers: dict[str, Container] = {}
        self._inside: dict[str, _Inside] = {}
        self._networks: dict[str, Mapping[str, str]] = {"bridge": EMPTY}
        self._volumes: dict[str, Mapping[str, str]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    # for the tests

    def add_image(
        self,
        *tags: str,
        labels: Mapping[str, str] = EMPTY,
        ports: tuple[str, ...] = (),
        healthcheck: bool = False,
        env: tuple[str, ...] = (),
        onbuild: tuple[str, ...] = (),
    ) -> str:
        """Puts an image into the engine; returns its id."""
        number = next(self._numbers)
        image = f"sha256:{_digest(f'image {number}')}"
        created = f"2026-01-01T00:00:00.{number:06d}Z"
        self._images[image] = Image(image, (), (), dict(labels), ports, healthcheck, 1_000_000, created, env, onbuild)
        for tag in tags:
            self._tag(image, tag)
        return image

    def lose_image(self, image: str) -> None:
        """Takes an image away under its containers, as the containerd store does when its only tag moves."""
        del self._images[image]

    def change(self, container: str, **fields: Any) -> None:
        """Changes what inspecting a container shows, as if something had happened to it."""
        found = self._found(container)
        self._containers[found.id] = replace(found, **fields)

    def files(self, container: str) -> Mapping[str, bytes]:
        """The files that were put into a container: path → content."""
        return self._inside[self._found(container).id].files

    def signals(self, container: str) -> Sequence[str]:
        """The signals that were sent to a container."""
        return self._inside[self._found(container).id].signals

    def spec(self, container: str) -> ContainerSpec:
        """What a container was created from."""
        return self._inside[self._found(container).id].spec

    # engine.types.Engine

    @_call
    def info(self) -> EngineInfo:
        return EngineInfo("0.0.0", "1.41", "memory", True, "/nowhere")

    @_call
    def ping(self) -> None:
        pass

    @_call
    def await_end(self, timeout: float) -> bool:
        return False

    @_call
    def image(self, ref: str) -> Image | None:
        return self._image(ref)

    @_call
    def images(self, labels: Mapping[str, str]) -> list[Image]:
        return [image for image in reversed(self._images.values()) if _matches(image.labels, labels)]

    @_call
    def tag(self, image: str, ref: str) -> None:
        self._tag(self._required(image).id, ref)

    @_call
    def remove_image(self, ref: str) -> bool:
        image = self._image(ref)
        if image is None:
            return False
        left = () if ref == image.id else tuple(tag for tag in image.tags if tag != ref)
        if not left and any(container.image == image.id for container in self._containers.values()):
            raise EngineError(f"image {image.id[:19]} is used by a container", 409)
        if left:
            self._images[image.id] = replace(image, tags=left)
        else:
            del self._images[image.id]
        return True

    @_call
    def build(
        self,
        request: BuildRequest,
        context: BuildContext,
        credentials: Credentials,
        output: Output,
        cancel: Cancel = NEVER,
    ) -> str:
        for _ in context.tar():
            if cancel.is_set():
                raise Cancelled("cancelled")
        output.line("[1/1] built")
        return self.add_image(*request.tags, labels=request.labels)

    @_call
    def push(self, ref: str, credentials: Credentials, output: Output, cancel: Cancel = NEVER) -> str:
        if cancel.is_set():
            raise Cancelled("cancelled")
        image = self._image(ref)
        if image is None:
            raise RegistryError(f"{ref}: tag does not exist: {ref}", transient=False)
        output.progress(ref, "pushed 1.0/1.0 MB")
        self.registry[ref] = image
        return f"sha256:{_digest(image.id)}"

    @_call
    def pull(self, ref: str, credentials: Credentials, output: Output, cancel: Cancel = NEVER) -> str:
        if cancel.is_set():
            raise Cancelled("cancelled")
        if ref not in self.registry:
            raise RegistryError(f"{ref}: manifest unknown", transient=False)
        image = self.registry[ref]
        self._images.setdefault(image.id, replace(image, tags=()))
        self._tag(image.id, ref)
        return image.id

    @_call
    def login(self, ref: str, credentials: Credentials) -> None:
        pass

    @_call
    def prune_build_cache(self, keep: int) -> int:
        return 0

    @_call
    def containers(self, labels: Mapping[str, str], *, all: bool = True) -> list[Container]:
        found = [container for container in reversed(self._containers.values()) if _matches(container.labels, labels)]
        return [container for container in found if all or container.running]

    @_call
    def container(self, ref: str) -> Container | None:
        return next((c for c in self._containers.values() if ref in (c.id, c.name)), None)

    @_call
    def made_with(self, container: str) -> tuple[MadeWith, ...]:
        self._found(container)
        return ()

    @_call
    def create(self, spec: ContainerSpec) -> str:
        image = self._required(spec.image)
        self._free_name(spec.name)
        missing = next((name for name in spec.networks if name not in self._networks), None)
        if missing:
            raise NotFound(f"network {missing} not found", 404)
        container = Container(
            id=_digest(f"container {next(self._numbers)}"),
            name=spec.name,
            image=image.id,
            image_ref=spec.image,
            labels={**image.labels, **spec.labels},
            state="created",
            publish=spec.publish,
            restart=spec.restart,
            mounts=spec.volumes,
        )
        for volume in spec.volumes:
            if not volume.is_path:
                self._volumes.setdefault(volume.source, EMPTY)
        self._containers[container.id] = container
        self._inside[container.id] = _Inside(spec, list(spec.networks) or ["bridge"])
        return container.id

    @_call
    def start(self, container: str) -> None:
        found = self._found(container)
        if found.running:
            return
        self._free_ports(found)
        inside = self._inside[found.id]
        run = self.behave(inside.spec)
        inside.output += run.output
        started = f"2026-01-01T00:00:00.{next(self._numbers):06d}Z"
        state = "running" if run.exit_code is None else "exited"
        health = run.health if run.exit_code is None else ""
        self.change(found.id, state=state, exit_code=run.exit_code or 0, health=health, started=started)
        self._readdress(found.id)

    @_call
    def stop(self, container: str, timeout: float | None = None) -> None:
        if self._found(container).running:
            self._end(container, 137)

    @_call
    def remove(self, container: str, *, force: bool = False) -> bool:
        found = next((c for c in self._containers.values() if container in (c.id, c.name)), None)
        if found is None:
            return False
        if found.running and not force:
            raise EngineError(f"cannot remove container {found.name}: it is running", 409)
        del self._containers[found.id], self._inside[found.id]
        return True

    @_call
    def rename(self, container: str, name: str) -> None:
        found = self._found(container)
        self._free_name(name)
        self.change(found.id, name=name)

    @_call
    def signal(self, container: str, name: str) -> None:
        found = self._found(container)
        if not found.running:
            raise EngineError(f"container {found.name} is not running", 409)
        self._inside[found.id].signals.append(name)
        if name in ("KILL", "SIGKILL"):
            self._end(container, 137)

    @_call
    def wait(self, container: str, timeout: float) -> int | None:
        found = self._found(container)
        return None if found.running else found.exit_code

    @_call
    def logs(self, container: str, tail: int) -> list[str]:
        output = self._inside[self._found(container).id].output
        return output[max(0, len(output) - tail) :]

    def follow(self, container: str, tail: int) -> Iterator[str]:
        yield from self.logs(container, tail)

    @_call
    def exec(self, container: str, command: Sequence[str], timeout: float = 30.0) -> tuple[int, bytes]:
        found = self._found(container)
        if not found.running:
            raise EngineError(f"container {found.name} is not running", 409)
        return self.on_exec(found.name, command)

    @_call
    def put_files(self, container: str, directory: str, files: Mapping[str, bytes], mode: int = 0o644) -> None:
        inside = self._inside[self._found(container).id]
        inside.files |= {f"{directory.rstrip('/')}/{name}": content for name, content in files.items()}

    @_call
    def set_restart(self, container: str, policy: str) -> None:
        self.change(container, restart=policy)

    @_call
    def ensure_network(self, name: str, labels: Mapping[str, str]) -> str:
        self._networks.setdefault(name, dict(labels))
        return _digest(f"network {name}")

    @_call
    def network(self, name: str) -> Mapping[str, str] | None:
        return self._networks.get(name)

    @_call
    def volume(self, name: str) -> Mapping[str, str] | None:
        return self._volumes.get(name)

    @_call
    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        self._volumes.setdefault(name, dict(labels))

    @_call
    def connect(self, network: str, container: str, aliases: Sequence[str] = ()) -> None:
        joined = self._joined(network, container)
        if network in joined:
            raise EngineError(f"endpoint with name {container} already exists in network {network}", 403)
        joined.append(network)
        self._readdress(container)

    @_call
    def disconnect(self, network: str, container: str) -> None:
        joined = self._joined(network, container)
        if network not in joined:
            raise EngineError(f"container {container} is not connected to network {network}", 403)
        joined.remove(network)
        self._readdress(container)

    @_call
    def networks(self, labels: Mapping[str, str]) -> list[str]:
        return [name for name, own in self._networks.items() if _matches(own, labels)]

    @_call
    def remove_network(self, name: str) -> bool:
        if name not in self._networks:
            return False
        if any(name in container.addresses for container in self._containers.values()):
            raise EngineError(f"network {name} has active endpoints", 403)
        del self._networks[name]
        return True

    @_call
    def close(self) -> None:
        pass

    # beneath

    def _image(self, ref: str) -> Image | None:
        return next((image for image in self._images.values() if ref == image.id or ref in image.tags), None)

    def _required(self, ref: str) -> Image:
        image = self._image(ref)
        if image is None:
            raise NotFound(f"No such image: {ref}", 404)
        return image

    def _tag(self, image: str, ref: str) -> None:
        for other in self._images.values():
            if ref in other.tags:
                self._images[other.id] = replace(other, tags=tuple(tag for tag in other.tags if tag != ref))
        self._images[image] = replace(self._images[image], tags=(*self._images[image].tags, ref))

    def _found(self, ref: str) -> Container:
        found = next((c for c in self._containers.values() if ref in (c.id, c.name)), None)
        if found is None:
            raise NotFound(f"No such container: {ref}", 404)
        return found

    def _free_name(self, name: str) -> None:
        if any(container.name == name for container in self._containers.values()):
            raise EngineError(f'Conflict. The container name "/{name}" is already in use', 409)

    def _free_ports(self, container: Container) -> None:
        running = [other for other in self._containers.values() if other.running]
        for port in container.publish:
            if port_holder(running, port):
                raise EngineError(f"host port {port.host_port} is already taken by another container", 500)
            if port.host_port in self.used_ports:
                raise EngineError(f"host port {port.host_port} is already in use by a program outside this engine", 500)

    def _joined(self, network: str, container: str) -> list[str]:
        if network not in self._networks:
            raise NotFound(f"network {network} not found", 404)
        return self._inside[self._found(container).id].networks

    def _readdress(self, container: str) -> None:
        found = self._found(container)
        joined = self._inside[found.id].networks
        addresses = {name: found.addresses.get(name) or self._address() for name in joined if found.running}
        self.change(container, addresses=addresses, networks=tuple(joined))

    def _address(self) -> str:
        number = next(self._numbers)
        return f"192.0.2.{number % 250 + 1}"  # RFC 5737: nothing answers there

    def _end(self, container: str, exit_code: int) -> None:
        self.change(container, state="exited", exit_code=exit_code, health="")
        self._readdress(container)


def _matches(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(key in labels and value in ("", labels[key]) for key, value in wanted.items())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
