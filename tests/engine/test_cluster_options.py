"""Each option of `[apps.X.run]` that a service can hold is in its containers: asked of a real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from gitdeploy.config.attachments import Volume
from gitdeploy.config.runoptions import Run
from gitdeploy.engine.serviceoptions import LACKED, unsupported
from tests.engine.swarm import OWN, Place

ENV = {"PLAIN": "a=b c", "BRACES": "{{.Node.Hostname}} {{{ }}} {{"}

GIVEN: Mapping[str, Any] = {
    "command": ("echo started; exec sleep 600",),
    "entrypoint": ("/bin/sh", "-c"),
    "user": "1000:1000",
    "workdir": "/srv",
    "hostname": "web",
    "init": True,
    "stop_signal": "SIGKILL",
    "memory": 64 << 20,
    "cpus": 1.5,
    "pids_limit": 50,
    "shm_size": 32 << 20,
    "tmpfs": ("/run", "/scratch:size=1m,mode=1770"),
    "read_only": True,
    "ulimits": {"nofile": (100, 200)},
    "oom_score_adj": 500,
    "sysctls": {"net.core.somaxconn": "99"},
    "no_new_privileges": True,
    "cap_add": ("NET_ADMIN",),
    "cap_drop": ("MKNOD", "CHOWN"),
    "security_opt": ("label=type:svirt_t", "seccomp=unconfined"),
    "group_add": ("44",),
    "extra_hosts": ("db:10.0.0.5", "outside:host-gateway"),
    "dns": ("10.0.0.2",),
    "dns_search": ("example.com",),
    "dns_options": ("ndots:2",),
    "network_aliases": ("www",),
    "labels": {"team": "shop"},
    "volume_driver": "local",
    "log_driver": "local",
    "log_opts": {"max-size": "1m"},
}

SHOWN: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Any]] = {
    "command": lambda config, host: tuple(config["Cmd"]),
    "entrypoint": lambda config, host: tuple(config["Entrypoint"]),
    "user": lambda config, host: config["User"],
    "workdir": lambda config, host: config["WorkingDir"],
    "hostname": lambda config, host: config["Hostname"],
    "init": lambda config, host: host["Init"],
    "stop_signal": lambda config, host: config["StopSignal"],
    "memory": lambda config, host: host["Memory"],
    "cpus": lambda config, host: host["NanoCpus"] / 1e9,
    "pids_limit": lambda config, host: host["PidsLimit"],
    "read_only": lambda config, host: host["ReadonlyRootfs"],
    "ulimits": lambda config, host: {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]},
    "oom_score_adj": lambda config, host: host["OomScoreAdj"],
    "sysctls": lambda config, host: host["Sysctls"],
    "no_new_privileges": lambda config, host: any("no-new-privileges" in option for option in host["SecurityOpt"]),
    "cap_add": lambda config, host: tuple(name.removeprefix("CAP_") for name in host["CapAdd"]),
    "cap_drop": lambda config, host: tuple(name.removeprefix("CAP_") for name in host["CapDrop"]),
    "security_opt": lambda config, host: tuple(
        option.replace("label:", "label=") for option in host["SecurityOpt"] if "no-new" not in option
    ),
    "group_add": lambda config, host: tuple(host["GroupAdd"]),
    "extra_hosts": lambda config, host: tuple(host["ExtraHosts"]),
    "dns": lambda config, host: tuple(host["Dns"]),
    "dns_search": lambda config, host: tuple(host["DnsSearch"]),
    "dns_options": lambda config, host: tuple(host["DnsOptions"]),
    "labels": lambda config, host: {"team": config["Labels"].get("team")},
    "log_driver": lambda config, host: host["LogConfig"]["Type"],
    "log_opts": lambda config, host: host["LogConfig"]["Config"],
}

ASKED_WITHIN = {"shm_size", "tmpfs", "network_aliases", "volume_driver"}
"""What an inspected container does not show as it was asked for; names on networks are asked for in test_cluster.py."""


def test_each_field_is_lacked_or_looked_at() -> None:
    assert {field.name for field in fields(Run)} == GIVEN.keys() | {*LACKED}
    assert GIVEN.keys() == SHOWN.keys() | ASKED_WITHIN


def test_what_is_asked_for_is_in_the_container(place: Place) -> None:
    lost = unsupported(Run(**GIVEN), place.engine.info().api_version)
    given = {name: value for name, value in GIVEN.items() if name not in lost}
    network, volume = place.name(), place.name()
    place.cluster.ensure_overlay(network, {OWN: place.run})
    volumes = (Volume(volume, "/data"), Volume("/usr", "/host{{", True, ("rprivate",)))
    placed = {"networks": (network,), "own_network": network, "spread": ("node.labels.zone",)}
    spec = place.spec(run=Run(**given), volumes=volumes, env=ENV, restart="no", stop_timeout=1.5, **placed)
    (task,) = place.await_running(place.cluster.create_service(spec, lambda host: None), 1)

    found = place.container(task)
    config, host = found["Config"], found["HostConfig"]
    shown = {name: show(config, host) for name, show in SHOWN.items() if name in given}
    assert shown == {name: given[name] for name in shown}
    assert config["Labels"][OWN] == place.run
    assert set(config["Env"]) >= {f"{name}={value}" for name, value in ENV.items()}
    assert place.exec(task, "sh", "-c", 'printf "%s" "$BRACES"') == ENV["BRACES"]

    assert place.exec(task, "stat", "-f", "-c", "%b %S", "/dev/shm").split() == [str((32 << 20) // 4096), "4096"]
    assert place.exec(task, "stat", "-c", "%a", "/dev/shm", "/scratch").split() == ["1777", "1770"]
    assert place.exec(task, "stat", "-f", "-c", "%b", "/scratch").strip() == "256"
    mounted = {line.split()[1]: line.split()[2:4] for line in place.exec(task, "cat", "/proc/mounts").splitlines()}
    assert mounted["/run"][0] == "tmpfs"
    assert mounted["/data"][1].startswith("rw,")
    assert mounted["/host{{"][1].startswith("ro,")
    mounts = {mount["Destination"]: mount for mount in found["Mounts"]}
    assert (mounts["/data"]["Name"], mounts["/data"]["Driver"], mounts["/host{{"]["Propagation"]) == (
        volume,
        "local",
        "rprivate",
    )
    assert "outside" in place.exec(task, "cat", "/etc/hosts")
    within = place.exec(task, "cat", "/proc/1/status")
    if "no_new_privileges" in given:
        assert "NoNewPrivs:\t1" in within


def test_what_nobody_says_is_bounded(place: Place) -> None:
    (task,) = place.running(place.service())
    log = place.container(task)["HostConfig"]["LogConfig"]
    assert log == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
