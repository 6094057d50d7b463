"""The Engine API's JSON to and from the plain data of `types`. Pure.

Field names: https://docs.docker.com/reference/api/engine/ (ContainerInspect, ImageInspect, ContainerCreate). Absent and null
mean the same everywhere, because engines differ in which of them they send.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.engine.runmapping import host_settings, process_settings
from gitdeploy.engine.types import Attended, Container, ContainerSpec, Image

Json = Mapping[str, Any]

LOG_SIZE, LOG_FILES = "10m", "3"
"""Of one container's json-file log: each file, and how many of them."""

NEVER_STARTED = "0001-01-01T00:00:00Z"


def image(found: Json) -> Image:
    """Return an inspected image."""
    config: Json = found.get("Config") or {}
    test = (config.get("Healthcheck") or {}).get("Test") or []
    return Image(
        id=found["Id"],
        tags=tuple(found.get("RepoTags") or ()),
        digests=tuple(found.get("RepoDigests") or ()),
        labels=config.get("Labels") or {},
        ports=tuple(config.get("ExposedPorts") or ()),
        healthcheck=bool(test) and test[0] != "NONE",
        size=found.get("Size") or 0,
        created=found.get("Created") or "",
        env=tuple(config.get("Env") or ()),
        onbuild=tuple(config.get("OnBuild") or ()),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        platform="/".join(filter(None, (found.get("Os"), found.get("Architecture")))),
    )


def container(found: Json) -> Container:
    """Return an inspected container."""
    state: Json = found["State"]
    config: Json = found["Config"]
    host: Json = found.get("HostConfig") or {}
    network: Json = found.get("NetworkSettings") or {}
    health: Json = state.get("Health") or {}
    status = health.get("Status") or ""
    started = state.get("StartedAt") or ""
    return Container(
        id=found["Id"],
        name=found["Name"].removeprefix("/"),
        image=found["Image"],
        image_ref=config["Image"],
        labels=config.get("Labels") or {},
        state=state["Status"],
        health="" if status == "none" else status,
        health_log=tuple(entry["Output"].strip() for entry in health.get("Log") or ()),
        healthcheck=_healthcheck(config),
        exit_code=state.get("ExitCode") or 0,
        restarts=found.get("RestartCount") or 0,
        oom_killed=bool(state.get("OOMKilled")),
        created=found.get("Created") or "",
        started="" if started == NEVER_STARTED else started,
        addresses=_addresses(network.get("Networks") or {}) if state["Status"] == "running" else {},
        networks=tuple(network.get("Networks") or ()),
        addressed=any(end.get("IPAMConfig") for end in (network.get("Networks") or {}).values() if end),
        publish=_published(host, network.get("Ports") or {}),
        restart=_restart(host.get("RestartPolicy") or {}),
        mounts=volumes(found.get("Mounts") or ()),
    )


def _healthcheck(config: Json) -> tuple[str, ...]:
    """Return the command of a HEALTHCHECK: https://docs.docker.com/reference/api/engine/ (HealthConfig.Test)."""
    kind, *words = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    if kind == "CMD":
        return tuple(words)
    return (*(config.get("Shell") or ("/bin/sh", "-c")), *words) if kind == "CMD-SHELL" else ()


def is_build_step(found: Json) -> bool:
    """Return whether an inspected container is a step of a classic build, which bears whatever labels its Dockerfile says.

    The builder keeps no log of it, has it never started again, takes away its health check, and says nothing of binds and ports
    (hostConfigFromOptions and withoutHealthcheck in moby's builder/dockerfile), where `creation` says that there are none. A
    Dockerfile can say none of that but the health check. The name tells nothing: an extension of the engine may make it up.
    """
    host: Json = found.get("HostConfig") or {}
    unlogged = (host.get("LogConfig") or {}).get("Type") == "none"
    unsaid = host.get("Binds") is None and host.get("PortBindings") is None
    unchecked = ((found.get("Config") or {}).get("Healthcheck") or {}).get("Test") == ["NONE"]
    return unlogged and unsaid and unchecked and _restart(host.get("RestartPolicy") or {}) == "no"


def creation(spec: ContainerSpec) -> dict[str, Any]:
    """Return the body that creates a container."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": {**spec.run.labels, **spec.labels},
        "ExposedPorts": {f"{port.container_port}/{port.protocol}": {} for port in spec.publish},
        "HostConfig": {  # Binds and PortBindings even where there are none: see `is_build_step`
            "Binds": [str(volume) for volume in spec.volumes],
            "PortBindings": _bindings(spec.publish),
            "RestartPolicy": restart_policy(spec.restart),
            **host_settings(spec.run),
        },
        **process_settings(spec.run),
    }
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    if not spec.healthcheck:
        body["Healthcheck"] = {"Test": ["NONE"]}
    if spec.stop_timeout is not None:
        body["StopTimeout"] = whole_seconds(spec.stop_timeout)
    if spec.attended:
        _attend(body, spec.attended)
    if spec.networks:
        body["HostConfig"]["NetworkMode"] = spec.networks[0]
        body["NetworkingConfig"] = {"EndpointsConfig": {spec.networks[0]: endpoint(spec, spec.networks[0])}}
    return body


def _attend(body: dict[str, Any], how: Attended) -> None:
    """Add what makes it a container for one command. Its output goes to whoever is attached, and into no log on the disk."""
    body |= {"Tty": how.terminal, "AttachStdout": True, "AttachStderr": True, "Healthcheck": {"Test": ["NONE"]}}
    body |= dict.fromkeys(("AttachStdin", "OpenStdin", "StdinOnce"), how.interactive)
    body["HostConfig"] |= {"AutoRemove": True, "LogConfig": {"Type": "none", "Config": {}}}
    if all(how.size):
        body["HostConfig"]["ConsoleSize"] = list(how.size)


def endpoint(spec: ContainerSpec, network: str) -> dict[str, Any]:
    """Return how the container is on a network: its names there, and on the one of its own its addresses."""
    run, own = spec.run, network == spec.own_network
    names = (*(spec.aliases if network == spec.networks[0] else ()), *(run.network_aliases if own else ()))
    settings: dict[str, Any] = {"Aliases": list(names)}
    addresses = {"IPv4Address": run.ip, "IPv6Address": run.ip6}
    if own and any(addresses.values()):
        settings["IPAMConfig"] = {name: address for name, address in addresses.items() if address}
    return settings | ({"MacAddress": run.mac_address} if own and run.mac_address else {})


def bounded_log(found: Json) -> Json | None:
    """Return the log configuration that an inspected container should have instead, None if it is as it should be.

    json-file, the engine's default, keeps everything unless max-size is set. An option of the engine's daemon.json stands in
    each container that asks for no other, and nowhere else in the API.
    """
    log: Json = (found.get("HostConfig") or {}).get("LogConfig") or {}
    options: Json = log.get("Config") or {}
    if log.get("Type") != "json-file" or "max-size" in options:
        return None
    return {"Type": "json-file", "Config": {"max-size": LOG_SIZE, "max-file": LOG_FILES, **options}}


def label_filter(labels: Mapping[str, str]) -> list[str]:
    """Labels as the engine's filters take them: "key=value", or "key" for any value."""
    return [f"{key}={value}" if value else key for key, value in labels.items()]


def restart_policy(policy: str) -> dict[str, Any]:
    """{"Name": "on-failure", "MaximumRetryCount": 3} for "on-failure:3"."""
    name, _, count = policy.partition(":")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def whole_seconds(seconds: float) -> int:
    """Return seconds as the engine takes them; a part of one counts as one, since 0 means at once."""
    return math.ceil(seconds)


def moment(written: str) -> float:
    """Return a time as the engine writes it in seconds since 1970, 0 for none."""
    try:
        return datetime.fromisoformat(written).timestamp()
    except ValueError:
        return 0.0


def _restart(policy: Json) -> str:
    count = policy.get("MaximumRetryCount") or 0
    return f"{policy.get('Name') or 'no'}:{count}" if count else policy.get("Name") or "no"


def volumes(mounts: Sequence[Json]) -> tuple[Volume, ...]:
    """Return the volumes and binds among an inspected container's mounts, by target."""
    found = [
        Volume(mount.get("Name") or mount["Source"], mount["Destination"], not mount.get("RW", True))
        for mount in mounts
        if mount["Type"] in ("bind", "volume")
    ]
    return tuple(sorted(found, key=lambda volume: volume.target))  # the engine lists them in a new order each time


def _addresses(networks: Mapping[str, Json]) -> dict[str, str]:
    found = {name: end.get("IPAddress") or end.get("GlobalIPv6Address") or "" for name, end in networks.items()}
    return {name: address for name, address in found.items() if address}


def _bindings(publish: Sequence[Publish]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in publish:
        binding = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        bindings.setdefault(f"{port.container_port}/{port.protocol}", []).append(binding)
    return bindings


def _published(host: Json, actual: Mapping[str, Sequence[Json] | None]) -> tuple[Publish, ...]:
    """Return the host ports asked for; where the engine was to choose (port 0, a range, all exposed), what it chose."""
    asked: Mapping[str, Sequence[Json] | None] = host.get("PortBindings") or {}
    if host.get("PublishAllPorts"):
        asked = {**actual, **asked}
    found: dict[Publish, None] = {}
    for key, bindings in asked.items():
        for binding in bindings or ():
            fixed = (binding.get("HostPort") or "").isdecimal() and int(binding["HostPort"])
            for one in [binding] if fixed else actual.get(key) or ():
                found[_publish(key, binding.get("HostIp") or "", int(one["HostPort"]))] = None
    return tuple(found)


def _publish(key: str, address: str, host_port: int) -> Publish:
    port, _, protocol = key.partition("/")
    kind: Literal["tcp", "udp"] = "udp" if protocol == "udp" else "tcp"
    return Publish(address, host_port, int(port), kind)
