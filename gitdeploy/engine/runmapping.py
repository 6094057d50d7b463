"""`[apps.X.run]` as the Engine API has it. Pure.

Field names: https://docs.docker.com/reference/api/engine/ (ContainerCreate). What is empty is left out: then the engine's own
configuration says.
"""

from __future__ import annotations

from typing import Any

from gitdeploy.config.runoptions import Run

PROCESS = {
    "command": "Cmd",
    "entrypoint": "Entrypoint",
    "user": "User",
    "workdir": "WorkingDir",
    "hostname": "Hostname",
    "stop_signal": "StopSignal",
    "mac_address": "MacAddress",  # engines before API 1.44; later ones take it of the network, and these not
}
"""Field of `Run` → what it is called in the body of a container."""

HOST = {
    "init": "Init",
    "memory": "Memory",
    "memory_swap": "MemorySwap",
    "memory_reservation": "MemoryReservation",
    "cpu_shares": "CpuShares",
    "cpuset": "CpusetCpus",
    "pids_limit": "PidsLimit",
    "shm_size": "ShmSize",
    "read_only": "ReadonlyRootfs",
    "oom_score_adj": "OomScoreAdj",
    "sysctls": "Sysctls",
    "cap_add": "CapAdd",
    "cap_drop": "CapDrop",
    "privileged": "Privileged",
    "group_add": "GroupAdd",
    "ipc": "IpcMode",
    "pid": "PidMode",
    "userns": "UsernsMode",
    "runtime": "Runtime",
    "extra_hosts": "ExtraHosts",
    "dns": "Dns",
    "dns_search": "DnsSearch",
    "dns_options": "DnsOptions",
    "volume_driver": "VolumeDriver",
}
"""The same in its HostConfig."""


def process_settings(run: Run) -> dict[str, Any]:
    """Return what stands in the body of a container itself."""
    return _renamed(run, PROCESS)


def host_settings(run: Run) -> dict[str, Any]:
    """Return what stands in its HostConfig. The log driver always does: see `mapping.bounded_log`."""
    security = [*(["no-new-privileges"] if run.no_new_privileges else []), *run.security_opt]
    made = {
        "NanoCpus": round(run.cpus * 10**9),
        "SecurityOpt": security,
        "Tmpfs": dict(entry.partition(":")[::2] for entry in run.tmpfs),
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in run.ulimits.items()],
        "Devices": [_device(device) for device in run.devices],
        "DeviceRequests": [_gpus(run.gpus)] if run.gpus else [],
    }
    log = {"LogConfig": {"Type": run.log_driver, "Config": dict(run.log_opts)}}
    return {**log, **_renamed(run, HOST), **{name: value for name, value in made.items() if value}}


def _renamed(run: Run, names: dict[str, str]) -> dict[str, Any]:
    plain = {tuple: list}
    values = {name: getattr(run, field) for field, name in names.items()}
    return {name: plain.get(type(value), lambda same: same)(value) for name, value in values.items() if value}


def _device(written: str) -> dict[str, str]:
    outside, *rest = written.split(":")
    modes = rest.pop() if rest and not rest[-1].startswith("/") else "rwm"
    return {"PathOnHost": outside, "PathInContainer": rest[0] if rest else outside, "CgroupPermissions": modes}


def _gpus(written: str) -> dict[str, Any]:
    """Return the request that `docker run --gpus` makes: https://docs.docker.com/reference/cli/docker/container/run/#gpus."""
    ids = written.removeprefix("device=").split(",") if written.startswith("device=") else None
    count = 0 if ids else -1 if written == "all" else int(written)
    return {"Count": count, "DeviceIDs": ids, "Capabilities": [["gpu"]]}
