"""The Docker Engine behind the `types.Engine` protocol."""

from __future__ import annotations

import contextlib
import json

import requests

from gitdeploy.engine.attached import Attaching
from gitdeploy.engine.builds import Builds
from gitdeploy.engine.cluster import Cluster
from gitdeploy.engine.containers import Containers
from gitdeploy.engine.images import Images
from gitdeploy.engine.inside import Inside
from gitdeploy.engine.networks import Networks
from gitdeploy.engine.registries import Registries
from gitdeploy.engine.transport import Api, TimedOut
from gitdeploy.engine.types import EngineInfo
from gitdeploy.errors import EngineError, EngineGone

PING = 2.0
"""Seconds for a sign of life."""

LIMITS = {
    "run.memory": "MemoryLimit",
    "run.memory_swap": "SwapLimit",
    "run.cpus": "CpuCfsQuota",
    "run.cpu_shares": "CPUShares",
    "run.cpuset": "CPUSet",
    "run.pids_limit": "PidsLimit",
}
"""Keys and what the engine's facts call its kernel's ability to hold them."""


class DockerEngine(Containers, Inside, Attaching, Images, Networks, Registries, Builds):
    """An engine that answers; safe to use from several threads."""

    def __init__(self, api: Api, buildkit: bool) -> None:
        """`buildkit`: whether it builds with BuildKit unless asked otherwise."""
        self._api = api
        self._buildkit = buildkit
        self._logs = {}

    def info(self) -> EngineInfo:
        version, info = self._api.version(), self._api.info()
        return EngineInfo(
            version=version["Version"],
            api_version=version["ApiVersion"],
            storage=info["Driver"],
            buildkit=self._buildkit,
            root=info["DockerRootDir"],
            local=self._api.host.startswith("unix://"),
            ignored=tuple(key for key, fact in LIMITS.items() if info.get(fact) is False),
        )

    def ping(self) -> None:
        self._api.call("GET", "/_ping", timeout=PING)

    def await_end(self, timeout: float) -> bool:
        """GET /events (SystemEvents) is open as long as the engine; only a kind that it seldom tells of is asked for."""
        asked = {"filters": json.dumps({"type": ["daemon"]})}
        try:
            with contextlib.closing(self._api.call("GET", "/events", params=asked, stream=True, timeout=timeout)) as events:
                for _ in events.iter_content(chunk_size=None):
                    continue
        except requests.RequestException as error:
            return not isinstance(self._api.broken(error), TimedOut)
        except EngineGone as error:
            return not isinstance(error, TimedOut)
        return True

    def manages_cluster(self) -> bool:
        try:
            self._api.call("GET", "/swarm")
        except EngineError:  # in none, a worker of one, one that is locked or cannot decide
            return False
        return True

    def cluster(self, patience: float = 0.0) -> Cluster:
        # For a cluster only: whoever has none must not pay for it.
        from gitdeploy.engine.swarmcluster import SwarmCluster  # noqa: PLC0415

        return SwarmCluster(self._api, patience)

    def close(self) -> None:
        self._api.close()
