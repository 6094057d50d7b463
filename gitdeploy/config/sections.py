"""The tables below an app, `[apps.X.build]` and the like, `[notify]` and `[server]`, as data with their built-in defaults.

Durations are seconds, sizes are bytes. What may hold a secret is left out of `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Build:
    """`[apps.X.build]`: how the image is made.

    Attributes:
        dockerfile: path in the tree, from its root.
        context: directory in the tree that is sent, from its root.
        target: stage of a multi-stage Dockerfile, "" for the last.
        args: build arguments.
        secrets: id of `RUN --mount=type=secret` → file on the server.
        engine: "auto" takes BuildKit wherever the engine has it.
        output: what the pusher sees of it; the log file always has all.
        cache_from: image references whose inline cache may be used.
        frontends: images, without a tag, that `# syntax=` may name; what reads the Dockerfile in place of the engine.
        bases: images of other apps, without a tag, that the Dockerfile may take.
        inline_cache: write cache metadata into the image.
        pull: ask the registry for newer base images.
        no_cache: build every step, and build a known tree again.
        timeout: seconds.
        max_context: bytes that the build context may have, uncompressed.
    """

    dockerfile: str = "Dockerfile"
    context: str = "."
    target: str = ""
    args: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    secrets: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    engine: Literal["auto", "buildkit", "classic"] = "auto"
    output: Literal["short", "full"] = "short"
    cache_from: tuple[str, ...] = ()
    frontends: tuple[str, ...] = ("docker/dockerfile",)
    bases: tuple[str, ...] = ()
    inline_cache: bool = False
    pull: bool = False
    no_cache: bool = False
    timeout: float = 3600.0
    max_context: int = 2 * 10**9


@dataclass(frozen=True)
class Push:
    """`[apps.X.push]`: what goes to the registry.

    Attributes:
        enabled: False keeps images on this engine only.
        tags: templates; {version}, {commit} (12 characters) and {branch} are filled in.
        on_reused_version: what to do when VERSION was already released from another tree.
        auth_file: 0600 file in the format of Docker's config.json; None for Docker's own.
        timeout: seconds for all tags together.
    """

    enabled: bool = True
    tags: tuple[str, ...] = ("{version}", "latest")
    on_reused_version: Literal["overwrite", "refuse", "skip"] = "overwrite"
    auth_file: Path | None = None
    timeout: float = 1800.0


@dataclass(frozen=True)
class Health:
    """`[apps.X.health]`: when a new container counts as serving.

    Nothing given: the image's HEALTHCHECK, else a TCP connect to the container port, else "stays up for min_uptime".

    Attributes:
        path: HTTP path to GET, "" for no HTTP check.
        port: container port, 0 for the first published one.
        status: accepted HTTP statuses, each "200" or "200-399".
        headers: sent with the check, for example Host.
        interval: seconds between two checks.
        timeout: seconds for one check.
        retries: failures in a row, after start_period, that end the wait.
        start_period: seconds in which failures do not count.
        min_uptime: seconds to stay up where nothing can be asked.
    """

    path: str = ""
    port: int = 0
    status: tuple[str, ...] = ("200-399",)
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    interval: float = 0.25
    timeout: float = 5.0
    retries: int = 3
    start_period: float = 30.0
    min_uptime: float = 3.0

    @property
    def patience(self) -> float:
        """Seconds after which a container that never answers counts as failed."""
        return self.start_period + self.retries * (self.interval + self.timeout)


@dataclass(frozen=True)
class RequireSigned:
    """`[apps.X.require_signed]`: whose signature a commit, or an annotated tag of it, needs; neither file: nobody's.

    Attributes:
        allowed_signers: file of ssh-keygen(1), ALLOWED SIGNERS: who may sign with which SSH key.
        keyring: OpenPGP public keys as `gpg --export` writes them.
    """

    allowed_signers: Path | None = None
    keyring: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.allowed_signers or self.keyring)


@dataclass(frozen=True)
class Canary:
    """`[apps.X.canary]`: how much traffic the new release gets before it gets all.

    Attributes:
        weight: percent of traffic, one step each, ascending.
        duration: seconds at each step.
        max_5xx_rate: share of answers (0 to 1) above the old release's own share that undoes the release.
        min_requests: below this many answers in a step, the rate is not judged.
    """

    weight: tuple[int, ...] = (10,)
    duration: float = 60.0
    max_5xx_rate: float = 0.01
    min_requests: int = 20


@dataclass(frozen=True)
class Router:
    """`[apps.X.router]`, or `router = "external"`: what holds the app's ports for the overlapping strategies.

    Attributes:
        kind: "haproxy" runs one HAProxy container; "external" leaves routing to the user's own proxy.
        image: of the HAProxy container.
        mode: "http" or "tcp".
        proxy_protocol: send the PROXY protocol to the app (tcp mode).
        drain_timeout: seconds that running requests get after the switch.
        labels: put on the app's containers, for Traefik or Caddy ("external").
        nodes: "label==value" of the cluster's machines that each have a router; "" for one router, on gitdeploy's own machine.
    """

    kind: Literal["haproxy", "external"] = "haproxy"
    image: str = "haproxy:3.0-alpine"
    mode: Literal["http", "tcp"] = "http"
    proxy_protocol: bool = False
    drain_timeout: float = 30.0
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    nodes: str = ""


@dataclass(frozen=True)
class Swarm:
    """`[apps.X.swarm]`: where in a cluster an app runs, for `target = "swarm"`.

    Attributes:
        constraints: each "node.labels.zone==a"; all must hold for a machine that runs it.
        spread: node labels over whose values tasks are spread evenly.
        secret_files: names of `env_file` that its containers find as files in /run/secrets, and not as variables.
        files: path in its containers → file on the server.
    """

    constraints: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()
    secret_files: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Retain:
    """`[apps.X.retain]`: what stays for a rollback.

    Attributes:
        releases: how many, the running one included; at least 1.
        build_cache: bytes of the engine's build cache to keep at a prune, 0 to leave the cache alone.
    """

    releases: int = 5
    build_cache: int = 0


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
