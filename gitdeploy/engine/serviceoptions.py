"""What services of a cluster can hold of `[apps.X.run]`, of volumes and of ports, and what each is called there. Pure.

Field names: https://docs.docker.com/reference/api/engine/ (ServiceCreate). An option counts as held where the engine passes it
on to the container (moby, daemon/cluster/executor/container): a reservation of memory is for the scheduler alone, say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.runoptions import Run
from gitdeploy.engine.apiversion import at_least

CONTAINER = {
    "entrypoint": "Command",
    "command": "Args",
    "user": "User",
    "workdir": "Dir",
    "hostname": "Hostname",
    "init": "Init",
    "stop_signal": "StopSignal",
    "read_only": "ReadOnly",
    "sysctls": "Sysctls",
    "cap_add": "CapabilityAdd",
    "cap_drop": "CapabilityDrop",
    "group_add": "Groups",
    "oom_score_adj": "OomScoreAdj",
}
"""Field of `Run` → what it is called in a service's ContainerSpec."""

DNS = {"dns": "Nameservers", "dns_search": "Search", "dns_options": "Options"}
"""The same in its DNSConfig."""

LIMITS = {"memory": "MemoryBytes", "pids_limit": "Pids"}
"""The same in the limits of its resources."""

LACKED = (
    *("memory_swap", "memory_reservation", "cpu_shares", "cpuset", "privileged", "devices", "gpus", "ipc", "pid", "userns"),
    *("runtime", "ip", "ip6", "mac_address"),
)
"""Fields of `Run` that no service holds, whatever they are."""

SINCE = {"no_new_privileges": "1.44", "oom_score_adj": "1.46"}
"""Fields of `Run` that services hold since that version of the Engine API; older engines take them and do nothing."""

PRIVILEGES = "1.44"
"""Since then a service can be without seccomp and AppArmor."""

SELINUX = {"user": "User", "role": "Role", "type": "Type", "level": "Level"}
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SIZE = re.compile(r"size=([0-9]+)([kmg]?)")
MODE = re.compile(r"mode=([0-7]+)")
SHARED_MEMORY = 0o1777
"""Of /dev/shm, as an engine makes it."""


def unsupported(run: Run, api_version: str) -> list[str]:
    """Return the fields of `run` that services of an engine with that API version cannot hold, in `Run`'s order.

    `no_new_privileges` is among them on engines before 25 unless it is False: there, only daemon.json can set it, on each node.
    """
    lost = {name for name in LACKED if getattr(run, name)}
    lost |= {name for name, since in SINCE.items() if getattr(run, name) and not at_least(api_version, since)}
    if any(tmpfs(entry) is None for entry in run.tmpfs):
        lost.add("tmpfs")
    profiles = {option for option in run.security_opt if not option.startswith("label=")}
    if profiles - ({"seccomp=unconfined", "apparmor=unconfined"} if at_least(api_version, PRIVILEGES) else set()):
        lost.add("security_opt")
    return [field.name for field in fields(Run) if field.name in lost]


def unsupported_attachments(volumes: Sequence[Volume], publish: Sequence[Publish]) -> list[str]:
    """Return the volumes and ports that a service cannot have as they are written: with labels for SELinux, on one address."""
    relabelled = [str(volume) for volume in volumes if {"z", "Z"} & {*volume.options}]
    return relabelled + [str(port) for port in publish if port.host_ip]


def privileges(run: Run) -> dict[str, Any]:
    """Return the Privileges of a service's ContainerSpec: {} for nothing out of the ordinary."""
    made: dict[str, Any] = {"NoNewPrivileges": True} if run.no_new_privileges else {}
    labels: dict[str, Any] = {}
    for option in run.security_opt:
        kind, _, value = option.partition("=")
        name, _, label = value.partition(":")
        if kind == "label":
            labels |= {"Disable": True} if value == "disable" else {SELINUX[name]: label}
        elif value == "unconfined":
            made |= {"Seccomp": {"Mode": "unconfined"}} if kind == "seccomp" else {"AppArmor": {"Mode": "disabled"}}
    return made | ({"SELinuxContext": labels} if labels else {})


def tmpfs(entry: str) -> dict[str, Any] | None:
    """Return the mount for "/tmp:size=64m,mode=1777", None where it asks for more than a size in bytes and a mode."""
    target, _, written = entry.partition(":")
    options: dict[str, int] = {}
    for option in written.split(",") if written else ():
        if size := SIZE.fullmatch(option):
            options["SizeBytes"] = int(size[1]) * UNITS[size[2]]
        elif mode := MODE.fullmatch(option):
            options["Mode"] = int(mode[1], 8)
        else:
            return None
    return {"Type": "tmpfs", "Target": literal(target), **({"TmpfsOptions": options} if options else {})}


def shared_memory(size: int) -> dict[str, Any]:
    """Return the mount that makes /dev/shm so many bytes large."""
    return {"Type": "tmpfs", "Target": "/dev/shm", "TmpfsOptions": {"SizeBytes": size, "Mode": SHARED_MEMORY}}


def volume_mount(volume: Volume, driver: str) -> dict[str, Any]:
    """Return the mount of a volume; a named one that is not there is made by the driver, "" for the engine's own."""
    mount = {"Source": literal(volume.source), "Target": literal(volume.target), "ReadOnly": volume.read_only}
    if volume.is_path:
        propagation = next(iter(volume.options), "")
        return {"Type": "bind", **mount, **({"BindOptions": {"Propagation": propagation}} if propagation else {})}
    options = {"NoCopy": True} if "nocopy" in volume.options else {}
    made: dict[str, Any] = options | ({"DriverConfig": {"Name": driver}} if driver else {})
    return {"Type": "volume", **mount, **({"VolumeOptions": made} if made else {})}


def literal(text: str) -> str:
    """Return a text for what the cluster takes for a template: variables, and sources and targets of mounts.

    What stands in {{ }} would be filled in, or refused: https://docs.docker.com/reference/cli/docker/service/create/
    """
    return text.replace("{{", '{{"{{"}}')
