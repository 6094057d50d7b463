"""The keys of `[apps.X.run]`: what `docker run` takes and a container that is deployed may need.

Who may set one follows the rule of `config.keys`:

- "yes": acts within the app's own containers, where the Dockerfile, or the program itself, does as it likes anyway.
- "allow": takes more of the box than the server may have meant, or lifts what `[defaults]` may hold as a guard (a user who is
  not root, read-only files).
- "no": the guards themselves, names and addresses by which others know a container, what is shared with the host; a log
  driver, a volume driver and a runtime work with the engine's own rights. Limits of users and of the kernel (ulimits)
  count for the whole box, and not for one container.
"""

from __future__ import annotations

from typing import Any, Literal

from gitdeploy.config import formats as f
from gitdeploy.config import runformats as r
from gitdeploy.config.key import Key
from gitdeploy.config.values import FLAG, SETTING, Kind, many, named, number, size, whole

MAX = 10**15
"""Bytes of a size."""


def _key(name: str, kind: Kind[Any], doc: str, tree: Literal["yes", "allow", "no"] = "no", example: object = None) -> Key:
    return Key(f"run.{name}", kind, doc, tree, example, secret=name in ("labels", "log_opts"))


RUN_KEYS = (
    _key(
        "command",
        r.COMMAND_LINE,
        "in place of the image's CMD; [apps.…] command is short for it",
        "yes",
        ["serve", "--port", "80"],
    ),
    _key(
        "entrypoint", r.ENTRYPOINT, 'in place of the image\'s, whose CMD then counts no more; "" for none', "yes", ["/start.sh"]
    ),
    _key("user", r.USER, "USER, UID, or one of these with :GROUP", "allow", "1000:1000"),
    _key("workdir", r.WORKDIR, "directory in which it starts", "yes", "/srv"),
    _key("hostname", r.HOSTNAME, "of the container; its networks may know it by that", example="web"),
    _key("init", FLAG, "an init of the engine's as process 1", "yes"),
    _key("stop_signal", r.SIGNAL, "what a stop sends; else the image's STOPSIGNAL", "yes", "SIGQUIT"),
    _key("memory", size(0, MAX), "limit of each container, 0 for none", "allow"),
    _key("memory_swap", r.SWAP, "limit of memory and swap together, -1 for none; 0: twice memory", "allow"),
    _key("memory_reservation", size(0, MAX), "what it keeps at least when memory is short", "allow"),
    _key("cpus", number(0, 1024), "processors' time for each container, 0 for no limit", "allow"),
    _key("cpu_shares", whole(0, 262_144), "weight when processors are short; others have 1024", "allow"),
    _key("cpuset", r.CPUSET, "processors that it may use", "allow", "0-2,4"),
    _key("pids_limit", whole(0, 4_000_000), "processes and threads of each container, 0 for no limit", "allow"),
    _key("shm_size", size(0, MAX), "of /dev/shm, 0 for the engine's 64 MiB", "allow"),
    _key("tmpfs", many(r.TMPFS), "directories in memory", "allow", ["/run", "/tmp:size=64m,mode=1777"]),
    _key("read_only", FLAG, "the container's own files cannot be written; volumes and tmpfs can", "allow"),
    _key("ulimits", named(r.ULIMIT_NAME, r.ULIMIT), "NUMBER or SOFT:HARD, -1 for no limit", example={"nofile": "1024:65536"}),
    _key("oom_score_adj", whole(-1000, 1000), "-1000: never killed for want of memory; 1000: first"),
    _key(
        "sysctls", named(r.SYSCTL, r.SYSCTL_VALUE), "of the container's own namespaces", example={"net.core.somaxconn": "1024"}
    ),
    _key("no_new_privileges", FLAG, "setuid programs and file capabilities have no effect"),
    _key("cap_add", many(r.CAPABILITY), "capabilities beyond Docker's own", example=["NET_ADMIN"]),
    _key("cap_drop", many(r.CAPABILITY), 'capabilities to do without, or "ALL"', example=["ALL"]),
    _key("security_opt", many(r.SECURITY), "apparmor=…, seccomp=…, label=…", example=["apparmor=docker-default"]),
    _key("privileged", FLAG, "all rights of the host: as good as root there"),
    _key("group_add", many(r.GROUP), "more groups of its user", "allow", ["audio"]),
    _key("devices", many(r.DEVICE), "of the host: /dev/a, /dev/a:/dev/b, …:rwm", example=["/dev/ttyUSB0"]),
    _key("gpus", r.GPUS, "all | N | device=0,1; the engine needs a runtime for them", example="all"),
    _key("ipc", r.IPC, "none | private | shareable | host", example="private"),
    _key("pid", r.PID, "host", example="host"),
    _key("userns", r.USERNS, "host", example="host"),
    _key("runtime", r.PLUGIN, "of the engine's runtimes", example="runsc"),
    _key("extra_hosts", many(r.HOST_ENTRY), "NAME:ADDRESS, NAME:host-gateway", "yes", ["db:10.0.0.5"]),
    _key("dns", many(r.DNS), "name servers", "yes", ["10.0.0.2"]),
    _key("dns_search", many(r.DNS_SEARCH), "domains of short names", "yes", ["example.com"]),
    _key("dns_options", many(r.DNS_OPTION), "of resolv.conf", "yes", ["ndots:2"]),
    _key("network_aliases", many(r.ALIAS), "more names on the first of networks", example=["web"]),
    _key("ip", r.IP, "IPv4 address there; recreate with one replica only", example="172.30.0.10"),
    _key("ip6", r.IP6, "IPv6 address there; the same", example="fd00::10"),
    _key("mac_address", r.MAC, "there; the same", example="02:42:ac:1e:00:0a"),
    _key("labels", named(f.LABEL, SETTING), "of the container, whatever the strategy", example={"team": "shop"}),
    _key("volume_driver", r.PLUGIN, "of named volumes that the engine makes for it", example="local"),
    _key("log_driver", f.LOG_DRIVER, "empty for the engine's; json-file without max-size gets 3 files of 10 MB"),
    _key("log_opts", named(f.LOG_OPTION, SETTING), "of the log driver", example={"max-size": "50m"}),
)
