"""The configuration as data: every key that gitdeploy knows, with its type and its built-in default.

`config.load` fills these from TOML; nothing past it ever sees a dict. Durations are seconds, sizes are bytes.
What may hold a secret is left out of `repr`, so that no traceback can show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.dnsname import dns_name
from gitdeploy.config.edgesections import EdgeSettings, Proxy, Tls
from gitdeploy.config.jobs import Accessory, Schedule, Task
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import EMPTY, Build, Canary, Health, Notify, Push, RequireSigned, Retain, Router, Server, Swarm

TargetName = Literal["docker", "swarm"]

StrategyName = Literal["recreate", "rolling", "blue-green", "canary"]

WEB = "web"
"""The process that an app's own keys describe."""

OWN_NETWORK = "gitdeploy-"
"""What the network of an app's own begins with; the name of its container follows."""

Layer = Mapping[str, object]
"""Checked values of one source (a table, a file, push options): key path, for example "build.args", to value."""


@dataclass(frozen=True)
class AppProcess:
    """`[apps.X.processes.NAME]`: more containers of the app's image; the app's own keys describe the process "web".

    The rest is as in `App`. What a process does not say of `run` and `stop_timeout` is as the app has it; see `Run.shared`.

    Attributes:
        overlap: False: the old containers end before the new ones start, whatever the strategy.
    """

    publish: tuple[Publish, ...] = ()
    port: int = 0
    overlap: bool = True
    strategy: StrategyName = "rolling"
    replicas: int = 1
    stop_timeout: float = 10.0
    hold: float = 0.0
    max_surge: int = 1
    run: Run = Run()
    health: Health = Health()
    canary: Canary = Canary()


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
        domains: names that lead to it through the edge.
        port: container port that they lead to, 0 for the first published one.
        strategy: "recreate", or key of `targets.strategies.OVERLAPPING`.
        target: key of `targets.known.TARGETS`: where releases run.
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
        processes: by name, all but "web".
        tasks: by name.
        schedule: by name.
        accessories: by name.
        process: which of its processes this describes, see `of_process`.
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
    domains: tuple[str, ...] = ()
    port: int = 0
    strategy: StrategyName = "recreate"
    target: TargetName = "docker"
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
    tls: Tls = Tls()
    proxy: Proxy = Proxy()
    swarm: Swarm = Swarm()
    retain: Retain = Retain()
    processes: Mapping[str, AppProcess] = field(default_factory=lambda: MappingProxyType({}))
    tasks: Mapping[str, Task] = field(default_factory=lambda: MappingProxyType({}))
    schedule: Mapping[str, Schedule] = field(default_factory=lambda: MappingProxyType({}))
    accessories: Mapping[str, Accessory] = field(default_factory=lambda: MappingProxyType({}))
    process: str = WEB

    def of_process(self, name: str) -> App:
        """Return the app as one of its processes has it, with a container of its own; a KeyError if there is none."""
        if name == self.process:
            return self
        mine = {**vars(self.processes[name]), "adopt": False}  # for a tree may name processes
        if not mine.pop("overlap"):
            mine["strategy"] = "recreate"
        return replace(self, **mine, container=f"{self.container}-{name}", process=name, processes={}, tasks={}, schedule={})

    def of_accessory(self, name: str) -> App:
        """Return what the app would be if it were one of its accessories; a KeyError if there is none."""
        mine = {key: value for key, value in vars(self.accessories[name]).items() if key not in ("image", "backup_hint")}
        alone = replace(self, strategy="recreate", replicas=1, restart="always", domains=(), canary=Canary(), router=Router())
        beside = replace(alone, container=f"{self.container}-{name}", networks=(self.own_network,))
        return replace(beside, **mine, processes={}, tasks={}, schedule={}, accessories={})

    @property
    def own_network(self) -> str:
        """The network that this app's containers alone are on, "" for none: accessories answer there, the edge asks there."""
        whole = self.container if self.process == WEB else self.container.removesuffix(f"-{self.process}")
        if not self.accessories and not self.domains:
            return ""
        name = f"{OWN_NETWORK}{whole}"  # a network of one machine cannot become one of many, so that has another name
        return dns_name(name, "-own") if self.target == "swarm" else name

    @property
    def led_to(self) -> int:
        """The container port of this process that the app's domains lead to, 0 for none."""
        if not self.domains or self.process not in (WEB, *self.proxy.routes.values()):
            return 0
        return self.port or next((port.container_port for port in self.publish if port.protocol == "tcp"), 0)

    @property
    def joined(self) -> tuple[str, ...]:
        """The networks that its containers join: `networks`, and its own."""
        return (*self.networks, *filter(None, [self.own_network]))

    @property
    def bare(self) -> Path | None:
        """The path of its repository, None where the Git server keeps it."""
        return self.repository if isinstance(self.repository, Path) else None

    @property
    def served_by(self) -> str:
        """What the Git server called its repository when it was enrolled, "owner/repo"; "" where that is the app's name."""
        return self.repository if isinstance(self.repository, str) else ""


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
    edge: EdgeSettings = EdgeSettings()
    warnings: tuple[str, ...] = ()
    defaults: Layer = field(default_factory=lambda: MappingProxyType({}), repr=False)
    tables: Mapping[str, Layer] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    mistaken: frozenset[str] = frozenset()
    written: int = 0
