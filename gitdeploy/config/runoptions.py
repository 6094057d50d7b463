"""`[apps.X.run]` as data with its built-in defaults: options of `docker run` for each of the app's containers.

Sizes are bytes. An empty value or 0 is what the engine does unasked. What may hold a secret is left out of `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gitdeploy.config.sections import EMPTY

MIN_MEMORY = 6 << 20
"""Bytes below which engines make no container (moby, daemon/daemon_unix.go: linuxMinMemory)."""

NO_SWAP_LIMIT = -1
"""Of memory_swap, as the engine has it."""

_NO_LIMITS: Mapping[str, tuple[int, int]] = MappingProxyType({})

_OPTIONS = {
    "cpuset": "cpuset-cpus",
    "devices": "device",
    "dns_options": "dns-option",
    "extra_hosts": "add-host",
    "labels": "label",
    "log_opts": "log-opt",
    "network_aliases": "network-alias",
    "sysctls": "sysctl",
    "ulimits": "ulimit",
}


def option(name: str) -> str:
    """Return what `docker run` calls a field of `Run`: "cpuset-cpus" for "cpuset"."""
    return _OPTIONS.get(name, name.replace("_", "-"))


@dataclass(frozen=True)
class Run:
    """What each of the app's containers is run with, under Docker's names.

    Attributes:
        command: in place of the image's CMD, and behind its ENTRYPOINT.
        entrypoint: in place of the image's, whose CMD then has no effect; ("",) for none.
        user: NAME, UID, or one of these with :GROUP.
        workdir: directory in which the command starts.
        hostname: of the container to itself; engines from 25 on give it to its networks as a name, too.
        init: whether the engine's init is process 1, which reaps processes and passes signals on.
        stop_signal: what a stop sends first.
        memory: bytes, 0 for no limit.
        memory_swap: bytes of memory and swap together; `NO_SWAP_LIMIT`; 0 for what the engine does, which is twice `memory`.
        memory_reservation: bytes to which it is pushed back when the machine runs short.
        cpus: how many processors' time, 0 for no limit.
        cpu_shares: weight against other containers, of which each has 1024.
        cpuset: processors, "0-2,4".
        pids_limit: processes and threads, 0 for no limit. 4096 is more than a JVM or a Node server starts, and less than the
            32,768 that all of a small machine has, so that a fork bomb stays its own app's trouble.
        shm_size: bytes of /dev/shm.
        tmpfs: directories in memory, "/run" or "/tmp:size=64m,mode=1777".
        read_only: whether the container's own files cannot be written.
        ulimits: name → (soft, hard), -1 for none.
        oom_score_adj: how soon the kernel kills it when memory is short, from -1000, never, to 1000.
        sysctls: of the container's own namespaces.
        no_new_privileges: whether setuid programs and file capabilities are without effect.
        cap_add: capabilities without "CAP_", or "ALL".
        cap_drop: the same.
        security_opt: "apparmor=…", "seccomp=…" and "label=…".
        privileged: whether it has all rights of the host.
        group_add: more groups of its user, by name or id.
        devices: "/dev/a" or "/dev/a:/dev/b:rw".
        gpus: "all", how many, or "device=0,1".
        ipc: whose shared memory it has.
        pid: whose processes it sees.
        userns: "host" for no user namespace where the engine has them.
        runtime: of the engine's runtimes.
        extra_hosts: "db:10.0.0.5" or "host:host-gateway", for its /etc/hosts.
        dns: addresses of name servers.
        dns_search: domains in which short names are looked for.
        dns_options: of resolv.conf.
        network_aliases: names on the app's first network.
        ip: its IPv4 address there.
        ip6: its IPv6 address there.
        mac_address: there.
        labels: of the container.
        volume_driver: for named volumes that are made.
        log_driver: "" for the engine's own.
        log_opts: of the driver.
    """

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    hostname: str = ""
    init: bool = False
    stop_signal: str = ""
    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    cpus: float = 0.0
    cpu_shares: int = 0
    cpuset: str = ""
    pids_limit: int = 4096
    shm_size: int = 0
    tmpfs: tuple[str, ...] = ()
    read_only: bool = False
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=lambda: _NO_LIMITS)
    oom_score_adj: int = 0
    sysctls: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    no_new_privileges: bool = True
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    privileged: bool = False
    group_add: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    gpus: str = ""
    ipc: str = ""
    pid: str = ""
    userns: str = ""
    runtime: str = ""
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    network_aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    mac_address: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    volume_driver: str = ""
    log_driver: str = ""
    log_opts: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)

    @property
    def shared(self) -> Run:
        """What a container beside the app's own inherits: all but what it is started as, and what only one can be known by.

        A proxy would send requests to whatever bears the app's labels.
        """
        return replace(self, command=(), hostname="", network_aliases=(), ip="", ip6="", mac_address="", labels=EMPTY)
