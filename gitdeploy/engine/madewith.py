"""What a container was made with, as options of `docker run`: for one that somebody else made and whose place is taken. Pure.

Source: https://docs.docker.com/reference/api/engine/ (ContainerInspect), and docker-run(1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitdeploy.config.runoptions import option
from gitdeploy.engine.mapping import volumes
from gitdeploy.engine.runmapping import HOST, PROCESS

Facts = Mapping[str, Any]

USUAL = {
    "shm_size": 64 << 20,
    "ipc": ("private", "shareable"),
    "runtime": "runc",
}
"""Fields of `Run` and what a container has in their place where nobody asked for anything."""

HIDDEN = ("command", "entrypoint")
"""Fields of `Run` whose values are not shown: a command may hold a password."""

NO_NETWORK = ("default", "bridge", "none")
"""Networks that a container is on unasked."""


@dataclass(frozen=True)
class MadeWith:
    """One option.

    Attributes:
        option: "--user 1000", without what may be secret.
        key: the key of config.toml that has its place, "" where there is none.
        value: what would stand there, one item of it where it is an array or a table; None if it is not to be shown.
    """

    option: str
    key: str = ""
    value: object = None


def made_with(container: Facts, image: Facts) -> tuple[MadeWith, ...]:
    """Return each option that a container was made with.

    Args:
        container: an inspected container.
        image: its inspected image, {} if it is gone.
    """
    config, host, own = container.get("Config") or {}, container.get("HostConfig") or {}, image.get("Config") or {}
    found = [*_ports(host), *_host(host), *_forms(host), *_devices(host), *_mounts(container), *_variables(config, own)]
    found += [*_process(container, own), *_labels(config, own), *_networks(container), *_without_key(host)]
    return tuple(given for index, given in enumerate(found) if given not in found[:index])


def _ports(host: Facts) -> Iterator[MadeWith]:
    for port, bindings in (host.get("PortBindings") or {}).items():
        inside, _, protocol = port.partition("/")
        for binding in bindings or ():
            place = f"{binding.get('HostPort') or ''}:{inside}" + ("" if protocol == "tcp" else f"/{protocol}")
            yield MadeWith(f"-p {place}", "publish", [place])


def _mounts(container: Facts) -> Iterator[MadeWith]:
    for volume in volumes(container.get("Mounts") or ()):
        yield MadeWith(f"-v {volume}", "volumes", [str(volume)])


def _process(container: Facts, image: Facts) -> Iterator[MadeWith]:
    config = container.get("Config") or {}
    for field, name in PROCESS.items():
        value = config.get(name)
        unasked = {"hostname": container.get("Id", "")[:12], "workdir": "/" if not image.get(name) else ""}.get(field)
        if not value or value in (image.get(name), unasked):
            continue
        if field in HIDDEN:
            yield MadeWith(f"a{'n' if field == 'entrypoint' else ''} {field} of its own", f"run.{field}")
        else:
            yield _option(field, value, value)


def _host(host: Facts) -> Iterator[MadeWith]:
    """Yield what has the same form in `Run`."""
    for field, name in HOST.items():
        value, usual = host.get(name), USUAL.get(field)
        if not value or (value in usual if isinstance(usual, tuple) else value == usual) or _implied(host, field, value):
            continue
        if isinstance(value, list):
            yield from (_option(field, item, [item]) for item in value)
        elif isinstance(value, dict):
            yield from (_option(field, f"{key}={item}", {key: item}) for key, item in value.items())
        else:
            yield _option(field, "" if value is True else value, value)


def _forms(host: Facts) -> Iterator[MadeWith]:
    """Yield what has another form there."""
    if cpus := host.get("NanoCpus"):
        yield _option("cpus", f"{cpus / 1e9:g}", cpus / 1e9)
    for opt in host.get("SecurityOpt") or ():
        if not (opt == "label=disable" and _host_namespace(host)):
            yield _security(opt)
    for target, options in (host.get("Tmpfs") or {}).items():
        entry = f"{target}:{options}" if options else target
        yield _option("tmpfs", entry, [entry])
    for limit in host.get("Ulimits") or ():
        soft, hard = limit.get("Soft"), limit.get("Hard")
        yield _option("ulimits", f"{limit.get('Name')}={soft}:{hard}", {limit.get("Name"): f"{soft}:{hard}"})
    log = host.get("LogConfig") or {}
    for name, value in (log.get("Config") or {}).items():
        yield MadeWith(f"--log-opt {name}", "run.log_opts", {name: value} if name.startswith("max-") else None)


def _option(field: str, shown: object, value: object) -> MadeWith:
    return MadeWith(f"--{option(field)} {shown}".rstrip(), f"run.{field}", value)


def _security(opt: str) -> MadeWith:
    if opt.partition(":")[0].partition("=")[0] == "no-new-privileges":
        return MadeWith(f"--security-opt {opt}", "run.no_new_privileges", "false" not in opt)
    shown = opt if len(opt) <= 100 else f"{opt[:40]}…"  # a seccomp profile is here as a whole
    return _option("security_opt", shown, [opt] if opt == shown else None)


def _implied(host: Facts, field: str, value: object) -> bool:
    """Return whether the engine sets this by itself."""
    if field == "memory_swap":
        return value == 2 * (host.get("Memory") or 0)
    return field == "pids_limit" and isinstance(value, int) and value < 0


def _host_namespace(host: Facts) -> bool:
    """Return whether the engine has set label=disable by itself."""
    return bool(host.get("Privileged") or "host" in (host.get("PidMode"), host.get("IpcMode")))


def _devices(host: Facts) -> Iterator[MadeWith]:
    for device in host.get("Devices") or ():
        outside, inside, modes = (device.get(name) or "" for name in ("PathOnHost", "PathInContainer", "CgroupPermissions"))
        entry = ":".join([outside, *([inside] if inside != outside else []), *([modes] if modes not in ("rwm", "") else [])])
        yield _option("devices", entry, [entry])
    for request in host.get("DeviceRequests") or ():
        if ["gpu"] in (request.get("Capabilities") or ()):
            ids, count = request.get("DeviceIDs") or (), request.get("Count")
            gpus = f"device={','.join(ids)}" if ids else "all" if count == -1 else str(count)
            yield _option("gpus", gpus, gpus)
        else:
            yield MadeWith(f"a device of {request.get('Driver') or 'a driver'}")


def _variables(config: Facts, image: Facts) -> Iterator[MadeWith]:
    own = set(image.get("Env") or ())
    for variable in config.get("Env") or ():
        if variable not in own:
            yield MadeWith(f"-e {variable.partition('=')[0]}", "env")


def _labels(config: Facts, image: Facts) -> Iterator[MadeWith]:
    own = image.get("Labels") or {}
    for label, value in (config.get("Labels") or {}).items():
        if own.get(label) != value and not label.startswith("com.docker."):  # compose's own, which mean nothing to others
            yield MadeWith(f"--label {label}", "run.labels")


def _networks(container: Facts) -> Iterator[MadeWith]:
    """Yield the networks, the first one first, and by what others know it there."""
    mode = (container.get("HostConfig") or {}).get("NetworkMode") or "default"
    if mode in ("host", "none") or mode.startswith("container:"):
        yield MadeWith(f"--network {mode}")
    ends = (container.get("NetworkSettings") or {}).get("Networks") or {}
    names = [name for name in dict.fromkeys([mode, *ends]) if name not in (*NO_NETWORK, "host") and ":" not in name]
    yield from (MadeWith(f"--network {name}", "networks", [name]) for name in names)
    for name in names:
        end = ends.get(name) or {}
        unasked = (container.get("Id", "")[:12], container.get("Name", "").removeprefix("/"))
        for alias in end.get("Aliases") or ():
            if alias not in unasked:
                yield _option("network_aliases", alias, [alias])
        addresses = end.get("IPAMConfig") or {}
        for field, key in (("ip", "IPv4Address"), ("ip6", "IPv6Address")):
            if address := addresses.get(key):
                yield _option(field, address, address)


def _without_key(host: Facts) -> Iterator[MadeWith]:
    if host.get("PublishAllPorts"):
        yield MadeWith("-P")
    yield from (MadeWith(f"--volumes-from {other}") for other in host.get("VolumesFrom") or ())
    yield from (MadeWith(f"--link {link.partition(':')[0].removeprefix('/')}") for link in host.get("Links") or ())
