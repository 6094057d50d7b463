"""Services, their tasks and nodes as the Engine API has them, to and from the plain data of `cluster`. Pure.

Field names: https://docs.docker.com/reference/api/engine/ (ServiceCreate, ServiceInspect, TaskList, NodeList, SystemInfo).
As in `mapping`, absent and null mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gitdeploy.config.attachments import Publish
from gitdeploy.config.runoptions import Run
from gitdeploy.engine.cluster import ClusterService, Membership, Node, Secret, SecretFile, ServiceSpec, ServiceTask
from gitdeploy.engine.mapping import Json, bounded_log, restart_policy
from gitdeploy.engine.serviceoptions import (
    CONTAINER,
    DNS,
    LIMITS,
    literal,
    privileges,
    shared_memory,
    tmpfs,
    volume_mount,
)

CONDITIONS = {"always": "any", "unless-stopped": "any", "on-failure": "on-failure", "no": "none"}
"""Restart policy of a container → that of a service's tasks: nobody stops one of them by hand."""

NANO = 10**9


def service_creation(spec: ServiceSpec) -> dict[str, Any]:
    """Return the body that creates a service.

    It has no virtual IP address, so that whoever asks for its name gets the addresses of its tasks.
    """
    limits = {name: value for field, name in LIMITS.items() if (value := getattr(spec.run, field))}
    limits |= {"NanoCPUs": round(spec.run.cpus * NANO)} if spec.run.cpus else {}
    return {
        "Name": spec.name,
        "Labels": dict(spec.labels),
        "TaskTemplate": {
            "ContainerSpec": _container(spec),
            "Resources": {"Limits": limits} if limits else {},
            "RestartPolicy": _restart(spec.restart),
            "Placement": {
                "Constraints": list(spec.constraints),
                "Preferences": [{"Spread": {"SpreadDescriptor": label}} for label in spec.spread],
            },
            "Networks": [{"Target": network, "Aliases": _aliases(spec, network)} for network in spec.networks],
            "LogDriver": _log(spec.run),
        },
        "Mode": {"Global": {}} if spec.everywhere else {"Replicated": {"Replicas": spec.replicas}},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": [_port(port) for port in spec.publish]},
    }


def _container(spec: ServiceSpec) -> dict[str, Any]:
    run = spec.run
    made: dict[str, Any] = {
        "Image": spec.image,
        "Labels": {**run.labels, **spec.labels},
        "Env": [f"{name}={literal(value)}" for name, value in spec.env.items()],
        "Mounts": _mounts(spec),
        "Secrets": [_secret(file) for file in spec.secrets],
        **_renamed(run, CONTAINER),
    }
    if not spec.healthcheck:
        made["Healthcheck"] = {"Test": ["NONE"]}
    if spec.stop_timeout is not None:
        made["StopGracePeriod"] = round(spec.stop_timeout * NANO)
    rest = {
        "DNSConfig": _renamed(run, DNS),
        "Privileges": privileges(run),
        "Hosts": [_host(entry) for entry in run.extra_hosts],
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in run.ulimits.items()],
    }
    return made | {name: value for name, value in rest.items() if value}


def _mounts(spec: ServiceSpec) -> list[dict[str, Any]]:
    run = spec.run
    found = [volume_mount(volume, run.volume_driver) for volume in spec.volumes]
    found += [mount for entry in run.tmpfs if (mount := tmpfs(entry))]
    return found + ([shared_memory(run.shm_size)] if run.shm_size else [])


def _aliases(spec: ServiceSpec, network: str) -> list[str]:
    first = spec.aliases if network == spec.networks[0] else ()
    return [*first, *(spec.run.network_aliases if network == spec.own_network else ())]


def _host(entry: str) -> str:
    """Return "db:10.0.0.5" in the order of hosts(5)."""
    name, _, address = entry.partition(":")
    return f"{address} {name}"


def _secret(file: SecretFile) -> dict[str, Any]:
    readable = {"Name": file.file, "UID": "0", "GID": "0", "Mode": 0o444}  # by the container's user, whoever that is
    return {"SecretID": file.secret, "SecretName": file.secret_name, "File": readable}


def _port(port: Publish) -> dict[str, Any]:
    """On the node of each task: the cluster's own distribution needs virtual addresses."""
    numbers = {"TargetPort": port.container_port, "PublishedPort": port.host_port}
    return {"Protocol": port.protocol, **numbers, "PublishMode": "host"}


def _restart(written: str) -> dict[str, Any]:
    policy = restart_policy(written)
    attempts = policy["MaximumRetryCount"]
    return {"Condition": CONDITIONS[policy["Name"]], **({"MaxAttempts": attempts} if attempts else {})}


def _log(run: Run) -> dict[str, Any]:
    """Return the log driver with its options, and json-file's bounds where the app has none.

    What the nodes' daemon.json say cannot be known, so the driver is always named.
    """
    log: Json = {"Type": run.log_driver or "json-file", "Config": dict(run.log_opts)}
    log = bounded_log({"HostConfig": {"LogConfig": log}}) or log
    return {"Name": log["Type"], "Options": log["Config"]}


def _renamed(run: Run, names: Mapping[str, str]) -> dict[str, Any]:
    values = {name: getattr(run, field) for field, name in names.items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}


def service(found: Json) -> ClusterService:
    """Return an inspected service; one that runs on each node whatever their number has 0 replicas."""
    spec: Json = found["Spec"]
    container: Json = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
    replicated: Json = (spec.get("Mode") or {}).get("Replicated") or {}
    return ClusterService(
        id=found["ID"],
        name=spec["Name"],
        labels=spec.get("Labels") or {},
        image=container.get("Image") or "",
        replicas=replicated.get("Replicas") or 0,
        created=found.get("CreatedAt") or "",
        secrets=tuple(file["SecretID"] for file in container.get("Secrets") or ()),
    )


def task(found: Json) -> ServiceTask:
    """Return a listed task."""
    status: Json = found.get("Status") or {}
    inside: Json = status.get("ContainerStatus") or {}
    return ServiceTask(
        id=found["ID"],
        service=found.get("ServiceID") or "",
        slot=found.get("Slot") or 0,
        node=found.get("NodeID") or "",
        state=status.get("State") or "new",
        wanted=found.get("DesiredState") or "",
        error=status.get("Err") or "",
        container=inside.get("ContainerID") or "",
        exit_code=inside.get("ExitCode") or 0,
        addresses=_addresses(found.get("NetworksAttachments") or ()),
        changed=status.get("Timestamp") or "",
    )


def _addresses(attachments: Sequence[Json]) -> dict[str, str]:
    """Return network → address, of which the engine also says how many bits are the network's."""
    found = {one["Network"]["Spec"]["Name"]: (one.get("Addresses") or [""])[0].partition("/")[0] for one in attachments}
    return {name: address for name, address in found.items() if address}


def node(found: Json) -> Node:
    """Return a listed node."""
    spec: Json = found.get("Spec") or {}
    status: Json = found.get("Status") or {}
    description: Json = found.get("Description") or {}
    manager: Json = found.get("ManagerStatus") or {}
    platform: Json = description.get("Platform") or {}
    return Node(
        id=found["ID"],
        name=description.get("Hostname") or "",
        manager=spec.get("Role") == "manager",
        leader=bool(manager.get("Leader")),
        reachable=not manager or manager.get("Reachability") == "reachable",
        state=status.get("State") or "unknown",
        availability=spec.get("Availability") or "",
        address=status.get("Addr") or "",
        platform="/".join(filter(None, (platform.get("OS"), platform.get("Architecture")))),
        labels=spec.get("Labels") or {},
    )


def membership(found: Json) -> Membership:
    """Return what an engine's facts say of its place in a cluster."""
    swarm: Json = found.get("Swarm") or {}
    registries: Json = found.get("RegistryConfig") or {}
    state = swarm.get("LocalNodeState") or "inactive"
    plain = [name for name, one in (registries.get("IndexConfigs") or {}).items() if not one.get("Secure")]
    return Membership(
        active=state != "inactive",
        manager=bool(swarm.get("ControlAvailable")),
        node=swarm.get("NodeID") or "",
        error=swarm.get("Error") or ("" if state in ("active", "inactive") else f"this engine's part in it is {state}"),
        insecure=(*(registries.get("InsecureRegistryCIDRs") or ()), *plain),
    )


def secret(found: Json) -> Secret:
    """Return a listed secret."""
    return Secret(found["ID"], found["Spec"]["Name"], found["Spec"].get("Labels") or {})
