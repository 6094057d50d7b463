"""The configuration as data: every key that gitdeploy knows, with its type and its built-in default.

`config.load` fills these from TOML; nothing past it ever sees a dict. Durations are seconds, sizes are bytes.
What may hold a secret is left out of `repr`, so that no traceback can show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from gitdeploy.config.sections import EMPTY, Build, Canary, Health, Push, RequireSigned, Retain, Router, Run

StrategyName = Literal["recreate", "rolling", "blue-green", "canary"]

Layer = Mapping[str, object]
"""Checked values of one source (a table, a file, push options): key path, for example "build.args", to value."""


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
    """One mount: "/srv/data:/data", "name:/data:ro".

    Attributes:
        source: absolute host path or volume name.
        target: absolute path in the container.
        read_only: whether the container may not write.
    """

    source: str
    target: str
    read_only: bool = False

    @property
    def is_path(self) -> bool:
        """Whether it mounts a path of the host and not a named volume."""
        return self.source.startswith("/")

    def __str__(self) -> str:
        return f"{self.source}:{self.target}" + (":ro" if self.read_only else "")


@dataclass(frozen=True)
class App:
    """One application: `[apps."owner/repo"]` with everything below it filled in.

    Attributes:
        name: "owner/repo", lower case.
        adopt: whether the app takes the place of a container of its name, and of tags in its image's repository, that are on
            the engine without being gitdeploy's; None: of a container only where no option of it is lost.
        repository: "owner/repo" on the Git server, where that is not the app's own name, or the path of a bare repository
            outside of it; None to find it there by the app's name.
        formerly: names that it had, which its containers and images may still bear in their labels.
        taken_from: ids of other installations whose containers and images of this app are this one's.
        branch: ref patterns; a plain name means refs/heads/NAME.
        paths: patterns as in .dockerignore; a push that changes no such file of what was deployed last deploys nothing. () for
            all files.
        version_file: path in the tree of the file that names the release.
        image: image reference without a tag.
        container: name of the running container.
        publish: ports of the host; the router holds them for all strategies but recreate.
        strategy: key of `rollout.STRATEGIES`.
        replicas: how many containers serve at the same time.
        env: environment of the container.
        env_file: file on the server with NAME=VALUE lines, 0600; its names win over `env`, which a tree may set.
        volumes: mounts of the container.
        networks: user-defined networks to join, the first as the container's own; () for the default bridge.
        restart: Docker restart policy.
        stop_timeout: seconds between the stop signal and SIGKILL.
        hold: seconds that blue-green keeps the old containers after the switch.
        max_surge: how many replicas above the count rolling may start at once.
        on_new_push: whether a newer push lets the running deployment finish or cancels it.
        allow: keys that the tree's own gitdeploy.toml may set beyond the harmless ones.
        queue: how many pushes may wait; the oldest beyond that are superseded at once.
        verify: program of the server and its arguments that judges the image before anything of it runs, () for none;
            {image} is filled in.
        verify_timeout: seconds.
    """

    name: str
    image: str
    container: str
    adopt: bool | None = None
    repository: Path | str | None = None
    formerly: tuple[str, ...] = ()
    taken_from: tuple[str, ...] = ()
    branch: tuple[str, ...] = ("main",)
    paths: tuple[str, ...] = ()
    version_file: str = "VERSION"
    publish: tuple[Publish, ...] = ()
    strategy: StrategyName = "recreate"
    replicas: int = 1
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    env_file: Path | None = None
    volumes: tuple[Volume, ...] = ()
    networks: tuple[str, ...] = ()
    restart: str = "always"
    stop_timeout: float = 10.0
    hold: float = 0.0
    max_surge: int = 1
    on_new_push: Literal["finish", "cancel"] = "finish"
    allow: tuple[str, ...] = ()
    queue: int = 20
    verify: tuple[str, ...] = ()
    verify_timeout: float = 600.0
    run: Run = Run()
    require_signed: RequireSigned = RequireSigned()
    build: Build = Build()
    push: Push = Push()
    health: Health = Health()
    canary: Canary = Canary()
    router: Router = Router()
    retain: Retain = Retain()

    @property
    def bare(self) -> Path | None:
        """The path of its repository, None where the Git server keeps it."""
        return self.repository if isinstance(self.repository, Path) else None

    @property
    def served_by(self) -> str:
        """What the Git server called its repository when it was enrolled, "owner/repo"; "" where that is the app's name."""
        return self.repository if isinstance(self.repository, str) else ""


@dataclass(frozen=True)
class Notify:
    """`[notify]`: an HTTP POST of the result as JSON.

    Attributes:
        url: where to, "" for nowhere.
        events: any of "succeeded", "failed".
    """

    url: str = field(default="", repr=False)
    events: tuple[str, ...] = ("succeeded", "failed")


@dataclass(frozen=True)
class Server:
    """`[server]`: what concerns the box and no single app.

    Attributes:
        host: name shown in "is live at http://HOST:PORT", "" for this machine's own.
        parallel: deployments that may build at the same time.
        relay_timeout: seconds after which the hook lets the pusher go; the deployment goes on.
        log_size: bytes of one deployment's log, the rest is cut.
        log_keep: deployments' logs kept for each app.
        min_free: bytes that must be free on the data directory's disk before a deployment starts.
        new_repositories: image, with {owner} and {repo}, of repositories that their first push enrols; "" for none.
    """

    host: str = ""
    parallel: int = 2
    relay_timeout: float = 3600.0
    log_size: int = 10_000_000
    log_keep: int = 100
    min_free: int = 200_000_000
    new_repositories: str = ""


@dataclass(frozen=True)
class Config:
    """The server's whole config.toml.

    Attributes:
        apps: by name, "owner/repo" in lower case.
        source: the file it was read from, for messages.
        warnings: what is no mistake but should be put right, for `doctor`; one line each.
        defaults: `[defaults]` alone. With `tables` it lets `load.apply_tree` put a tree's layer between the two.
        tables: app name → its own table alone.
        written: when the file was written that this was read from, or one before it; nanoseconds, 0 if it was no file.
        mistaken: apps with mistakes in their tables, where only another app's mattered: what is right there is in `apps`.
    """

    apps: Mapping[str, App]
    server: Server
    notify: Notify
    source: Path
    warnings: tuple[str, ...] = ()
    defaults: Layer = field(default_factory=lambda: MappingProxyType({}), repr=False)
    tables: Mapping[str, Layer] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    mistaken: frozenset[str] = frozenset()
    written: int = 0
