"""What gitdeploy and a container engine tell each other: plain data, without a word of how.

Everything outside `engine/` depends on this module only, so that no other module imports docker and importing it is free.
`engine.client.connect` gives the real one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import EMPTY

Credentials = Callable[[str], tuple[str, str] | None]
"""Takes a registry host ("127.0.0.1:5000", "docker.io"); returns (user, password), or None for anonymous."""

Line = Callable[[str], None]
"""Takes one line of output, without its newline."""


@dataclass(frozen=True)
class EngineInfo:
    """The engine's facts.

    Attributes:
        version: "20.10.24".
        api_version: "1.41".
        storage: storage driver; "overlayfs" with the containerd image store, else "overlay2" and others.
        buildkit: whether it builds with BuildKit.
        root: its data root, on the engine's machine.
        local: whether it is reached through a socket file, and so on this machine.
        ignored: keys whose limit its kernel cannot hold, which the engine then leaves out without an error.
    """

    version: str
    api_version: str
    storage: str
    buildkit: bool
    root: str
    local: bool = False
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image on the engine.

    Attributes:
        id: "sha256:…" of its config (its manifest with the containerd image store).
        tags: "repository:tag" each.
        digests: "repository@sha256:…" each, known after a push or pull.
        ports: exposed ports, "80/tcp" each.
        healthcheck: whether it has a HEALTHCHECK.
        size: bytes.
        created: RFC 3339, as the engine says it.
        env: variables, "NAME=VALUE" each.
        onbuild: instructions for images that are built on it.
        volumes: directories that it declares to keep data, by VOLUME.
        platform: what it is for, "linux/amd64".
    """

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    labels: Mapping[str, str]
    ports: tuple[str, ...]
    healthcheck: bool
    size: int
    created: str
    env: tuple[str, ...] = field(default=(), repr=False)
    onbuild: tuple[str, ...] = field(default=(), repr=False)
    volumes: tuple[str, ...] = ()
    platform: str = ""


@dataclass(frozen=True)
class Attended:
    """How somebody is attached to a command.

    Attributes:
        terminal: whether the command gets a terminal; without one, its stdout and stderr come apart.
        interactive: whether it gets input.
        size: rows and columns of the terminal, (0, 0) if they are not known.
    """

    terminal: bool = False
    interactive: bool = False
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ContainerSpec:
    """A container to create.

    Attributes:
        image: id or reference.
        env: NAME=VALUE pairs; secrets pass through here, so a spec is never printed.
        command: None for the image's own.
        aliases: DNS names on the first network.
        networks: the first is joined at creation, the others before the start; () for the default bridge.
        own_network: the one of them on which `run`'s names and addresses hold, "" for none.
        stop_timeout: seconds, None for the engine's default.
        healthcheck: whether the image's HEALTHCHECK is run.
        run: options of `docker run`; those of every container that says nothing else are the built-in ones.
        attended: of a container for one command, None for any other: the engine removes it when the command ends, keeps no
            log of it, and does not look at its health.
    """

    name: str
    image: str
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    command: tuple[str, ...] | None = None
    publish: tuple[Publish, ...] = ()
    volumes: tuple[Volume, ...] = ()
    networks: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    own_network: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    restart: str = "no"
    stop_timeout: float | None = None
    healthcheck: bool = True
    run: Run = Run()
    attended: Attended | None = None


@dataclass(frozen=True)
class Container:
    """A container as the engine sees it now.

    Attributes:
        name: without the leading slash.
        image: the id of its image.
        state: created, running, paused, restarting, removing, exited or dead.
        health: starting, healthy, unhealthy, or "" without a HEALTHCHECK.
        health_log: the last answers of its HEALTHCHECK, oldest first.
        healthcheck: the command of its HEALTHCHECK, () without one.
        exit_code: of the last run, 0 if there was none.
        restarts: how often the restart policy started it again.
        oom_killed: whether the kernel killed it for memory.
        created: RFC 3339, as the engine says it.
        started: the same.
        addresses: network → IP address, running containers only.
        networks: that it is on or will be on when it runs.
        addressed: whether it asked for an address on one of them.
        publish: the ports it asked for, whether running or not.
        restart: its restart policy, for example "unless-stopped".
        mounts: its volumes and binds.
    """

    id: str
    name: str
    image: str
    image_ref: str
    labels: Mapping[str, str]
    state: str
    health: str = ""
    health_log: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    exit_code: int = 0
    restarts: int = 0
    oom_killed: bool = False
    created: str = ""
    started: str = ""
    addresses: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    networks: tuple[str, ...] = ()
    addressed: bool = False
    publish: tuple[Publish, ...] = ()
    restart: str = ""
    mounts: tuple[Volume, ...] = ()

    @property
    def running(self) -> bool:
        """Whether its process runs (a paused one does not serve)."""
        return self.state == "running"


@dataclass(frozen=True)
class BuildRequest:
    """One build.

    Attributes:
        dockerfile: path in the context's tar stream.
        tags: "repository:tag" each.
        secrets: id → value; never printed.
        no_cache: run every step.
        cache: whose build cache is used, a name that others cannot guess: 1 to 63 letters and digits; "" for everybody's.
        check_base: told the name of each image that the build takes, "docker.io/library/busybox:latest"; what it raises ends
            the build. The classic builder does not ask.
        guard: asked once a second while it builds; what it raises ends the build.
        shared_key: whose files these are, a name that others cannot guess: an engine takes files of one key, with equal path,
            size and time, for those that it has already.
        ended: called when the engine has ended a build by itself, well or not; if it was not, nobody knows what it has.
    """

    dockerfile: str
    tags: tuple[str, ...]
    target: str = ""
    args: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    secrets: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    cache_from: tuple[str, ...] = ()
    inline_cache: bool = False
    no_cache: bool = False
    pull: bool = False
    engine: Literal["auto", "buildkit", "classic"] = "auto"
    timeout: float = 3600.0
    cache: str = field(default="", repr=False)
    check_base: Callable[[str], object] = lambda image: None
    guard: Callable[[], object] = lambda: None
    shared_key: str = field(default="", repr=False)
    ended: Callable[[], object] = lambda: None


class Output(Protocol):
    """Where an engine call reports while it runs."""

    def line(self, text: str, *, detail: bool = False) -> None:
        """One line; `detail` lines go to the log file always and to the pusher only with full output."""

    def progress(self, key: str, text: str) -> None:
        """Take the state of something long (an upload), to be shown in place of the last text of the same key."""


class Cancel(Protocol):
    """A wish to stop, as `threading.Event` has it."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


ENDED = ("exited", "dead")
"""States of a container whose program has ended and that nobody is starting again."""

LASTING, PERISHABLE = "always", "unless-stopped"
"""Restart policies: what has the first survives a kill of the engine itself. With the second, the engine (20.10 to 29) takes
that kill for a wish that the container be stopped, and leaves it down when it starts again."""

NEVER: Cancel = threading.Event()
