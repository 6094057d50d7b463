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

NO_NETWORK = ("default", "bridge", "none")
"""Networks that a container is on unasked."""

FLAGS = {"Privileged": "--privileged", "ReadonlyRootfs": "--read-only", "PublishAllPorts": "-P", "Init": "--init"}


def made_with(container: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return each option with the key of config.toml that has its place, "" where there is none. Values of env are left out.

    Args:
        container: an inspected container.
        image: its inspected image, {} if it is gone.
    """
    config, host = container.get("Config") or {}, container.get("HostConfig") or {}
    own = image.get("Config") or {}
    found = [*_ports(host), *_limits(host), *_places(container, host), *_others(config, host, own)]
    return tuple(dict.fromkeys([*found, *_names(container, config, own)]))


def _ports(host: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for port, bindings in (host.get("PortBindings") or {}).items():
        inside, _, protocol = port.partition("/")
        for binding in bindings or ():
            place = f"{binding.get('HostPort') or ''}:{inside}" + ("" if protocol == "tcp" else f"/{protocol}")
            yield f"-p {place}", f'publish = ["{place}"]'


def _names(container: Mapping[str, Any], config: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield by what others know it: its host name, labels and networks."""
    if (hostname := config.get("Hostname")) and hostname != container.get("Id", "")[:12]:
        yield f"--hostname {hostname}", ""
    own = image.get("Labels") or {}
    for label, value in (config.get("Labels") or {}).items():
        if own.get(label) != value and not label.startswith("com.docker."):  # compose's own, which mean nothing to others
            yield f"--label {label}", "router.labels"
    first = (container.get("HostConfig") or {}).get("NetworkMode")
    for network in (container.get("NetworkSettings") or {}).get("Networks") or ():
        if network not in (first, *NO_NETWORK):
            yield f"--network {network}", f'networks = ["{network}"]'


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
    elif mode == "none":
        yield "--network none", ""
    elif mode not in NO_NETWORK:
        yield f"--network {mode}", f'networks = ["{mode}"]'


def _others(config: Mapping[str, Any], host: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    own = set(image.get("Env") or ())
    for variable in config.get("Env") or ():
        if variable not in own:
            yield f"-e {variable.partition('=')[0]}", "env or env_file"
    if (user := config.get("User")) and user != image.get("User"):
        yield f"--user {user}", ""
    if (entrypoint := config.get("Entrypoint")) and entrypoint != image.get("Entrypoint"):
        yield "an entrypoint of its own", ""
    if (command := config.get("Cmd")) and command != image.get("Cmd"):
        yield "a command of its own", ""
    for device in host.get("Devices") or ():
        yield f"--device {device.get('PathOnHost')}", ""
    for limit in host.get("Ulimits") or ():
        yield f"--ulimit {limit.get('Name')}", ""
    for name, option in PLAIN.items():
        yield from ((f"{option} {value}", "") for value in host.get(name) or ())
    yield from ((option, "") for name, option in FLAGS.items() if host.get(name))
