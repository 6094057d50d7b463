"""What a container was made with, as options of `docker run`: for one that somebody else made and whose place is taken. Pure.

Source: https://docs.docker.com/reference/api/engine/ (ContainerInspect), and docker-run(1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitdeploy.engine.mapping import volumes

USUAL_SHM = 64 << 20
"""Bytes of /dev/shm where nobody asks for another size."""

PLAIN = {
    "CapAdd": "--cap-add",
    "CapDrop": "--cap-drop",
    "Dns": "--dns",
    "ExtraHosts": "--add-host",
    "GroupAdd": "--group-add",
    "SecurityOpt": "--security-opt",
}
"""Lists of HostConfig and the option that fills them."""

FLAGS = {"Privileged": "--privileged", "ReadonlyRootfs": "--read-only", "PublishAllPorts": "-P", "Init": "--init"}


def made_with(container: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return each option with the key of config.toml that has its place, "" where there is none. Values of env are left out.

    Args:
        container: an inspected container.
        image: its inspected image, {} if it is gone.
    """
    config, host = container.get("Config") or {}, container.get("HostConfig") or {}
    return tuple(dict.fromkeys([*_limits(host), *_places(container, host), *_others(config, host, image.get("Config") or {})]))


def _limits(host: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if memory := host.get("Memory"):
        yield f"--memory {memory}", f'run.memory = "{memory}"'
    if cpus := host.get("NanoCpus"):
        yield f"--cpus {cpus / 1e9:g}", f"run.cpus = {cpus / 1e9:g}"
    if (pids := host.get("PidsLimit")) and pids > 0:
        yield f"--pids-limit {pids}", f"run.pids_limit = {pids}"
    log = host.get("LogConfig") or {}
    for name in log.get("Config") or {}:
        yield f"--log-opt {name}", "run.log_opts"
    if (shm := host.get("ShmSize")) and shm != USUAL_SHM:
        yield f"--shm-size {shm}", ""


def _places(container: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for volume in volumes(container.get("Mounts") or ()):
        place = f"{volume.source}:{volume.target}"
        yield f"-v {place}", f'volumes = ["{place}"]'
    for target in host.get("Tmpfs") or {}:
        yield f"--tmpfs {target}", ""
    mode = host.get("NetworkMode") or "default"
    if mode == "host" or mode.startswith("container:"):
        yield f"--network {mode}", ""
    elif mode not in ("default", "bridge", "none"):
        yield f"--network {mode}", f'networks = ["{mode}"]'


def _others(config: Mapping[str, Any], host: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    own = set(image.get("Env") or ())
    for variable in config.get("Env") or ():
        if variable not in own:
            yield f"-e {variable.partition('=')[0]}", "env or env_file"
    if (user := config.get("User")) and user != image.get("User"):
        yield f"--user {user}", ""
    if (command := config.get("Cmd")) and command != image.get("Cmd"):
        yield "a command of its own", ""
    for name, option in PLAIN.items():
        yield from ((f"{option} {value}", "") for value in host.get(name) or ())
    yield from ((option, "") for name, option in FLAGS.items() if host.get(name))
