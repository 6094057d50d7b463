"""`[apps.X.run]`: what its keys take, what contradicts itself, and that an old release runs as it ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.config import snapshot
from gitdeploy.config.keys import APP_KEYS
from gitdeploy.config.load import parse_config
from gitdeploy.config.problems import BadValue
from gitdeploy.config.show import value_of
from gitdeploy.errors import ConfigError

TAKEN: list[tuple[str, object, Any]] = [
    ("command", ["a", "b c"], ("a", "b c")),
    ("command", "serve --name 'a b' $HOME \\$x ${Y:-z}", ("serve", "--name", "a b", "$HOME", "$x", "${Y:-z}")),
    ("command", "", ()),
    ("entrypoint", "", ("",)),
    ("entrypoint", [], ()),
    ("user", "app:web", "app:web"),
    ("memory_swap", -1, -1),
    ("memory_swap", "1GiB", 1 << 30),
    ("cpuset", "0-2,4", "0-2,4"),
    ("tmpfs", "/run", ("/run",)),
    ("tmpfs", ["/tmp:size=64m,mode=1777,noexec"], ("/tmp:size=64m,mode=1777,noexec",)),
    ("ulimits", {"nofile": 1024, "core": "0:-1", "nproc": "5:7"}, {"nofile": (1024, 1024), "core": (0, -1), "nproc": (5, 7)}),
    ("ulimits", {"memlock": -1}, {"memlock": (-1, -1)}),
    ("sysctls", {"net.core.somaxconn": 1024}, {"net.core.somaxconn": "1024"}),
    ("cap_add", ["cap_net_admin", "SYS_TIME"], ("NET_ADMIN", "SYS_TIME")),
    ("security_opt", ["apparmor=unconfined", "label=type:svirt_x"], ("apparmor=unconfined", "label=type:svirt_x")),
    (
        "devices",
        ["/dev/a", "/dev/a:rw", "/dev/a:/dev/b", "/dev/a:/dev/b:rwm"],
        ("/dev/a", "/dev/a:rw", "/dev/a:/dev/b", "/dev/a:/dev/b:rwm"),
    ),
    ("gpus", 2, "2"),
    ("gpus", "device=0,GPU-1a", "device=0,GPU-1a"),
    ("extra_hosts", ["db:10.0.0.5", "h=host-gateway", "six:[fd00::0:1]"], ("db:10.0.0.5", "h:host-gateway", "six:fd00::1")),
    ("dns", ["10.0.0.2", "fd00:0::2"], ("10.0.0.2", "fd00::2")),
    ("ip6", "fd00:0::10", "fd00::10"),
    ("mac_address", "02:42:AC:1E:00:0A", "02:42:ac:1e:00:0a"),
]


@pytest.mark.parametrize(("key", "written", "value"), TAKEN)
def test_what_is_taken(key: str, written: object, value: object) -> None:
    kind = APP_KEYS[f"run.{key}"].kind
    assert kind.parse(written) == value
    assert kind.parse(kind.format(value)) == value


REFUSED: list[tuple[str, object]] = [
    *[("command", value) for value in ("a 'b", "x" * 5000, ["a", 1], ["\0"], ["a"] * 101, "a\x1bb", 3)],
    *[("user", value) for value in ("a b", ":1", "1:", "$x", "-x", "x" * 40)],
    *[("workdir", value) for value in ("srv", "/a/../b", "/..", "/a:b")],
    *[("hostname", value) for value in ("-a", "a_b", "a" * 64, "a\n")],
    *[("stop_signal", value) for value in ("sigquit", "SIG QUIT", "0")],
    *[("memory", value) for value in (-1, "64", "1.5")],
    *[("memory_swap", value) for value in (-2, True, "-1")],
    *[("cpuset", value) for value in ("a", "0-", "1,,2", " 1")],
    *[("tmpfs", value) for value in ("/", "//", "/:size=1m", "run", "/a/..", "/a/..:size=1", "/a:size=x", "/a:bind", "/a:")],
    *[("ulimits", {"nofile": value}) for value in ("5:4", "-1:5", -2, "a", True, 1.5, "1:2:3")],
    *[("ulimits", {name: 1}) for name in ("files", "NOFILE")],
    *[("sysctls", {name: 1}) for name in ("vm.swappiness", "kernel.panic", "net/core", "fs.file-max", "net. x")],
    ("sysctls", {"net": {"core": {"somaxconn": 1}}}),
    *[("cap_add", value) for value in ("net admin", "", "CAP_", "A;B", "_A")],
    *[("security_opt", value) for value in ("no-new-privileges", "seccomp=/p.json", "apparmor", "x=y")],
    *[
        ("devices", value)
        for value in ("/etc/passwd", "/dev/", "/dev/../etc", "dev/x", "/dev/a:b", "/dev/a:/dev/b:x", "/dev/a:rr")
    ],
    *[("gpus", value) for value in ("some", 0, "-1", "device=", True)],
    *[(key, "container:x") for key in ("ipc", "pid", "userns")],
    *[("extra_hosts", value) for value in ("db", "db:", "db:x", ":10.0.0.1", "a b:10.0.0.1", "db:10.0.0.1\n")],
    *[("dns", value) for value in ("localhost", "fe80::1%eth0", "")],
    *[(key, value) for key, value in (("ip", "fd00::1"), ("ip6", "10.0.0.1"), ("mac_address", "02:42"))],
    *[("labels", {name: "x"}) for name in ("gitdeploy.app", "gitdeploy.role")],
]


@pytest.mark.parametrize(("key", "written"), REFUSED)
def test_what_is_refused(key: str, written: object) -> None:
    with pytest.raises(BadValue):
        APP_KEYS[f"run.{key}"].kind.parse(written)


CONTRADICTIONS = [
    ("run.memory = '5MB'", "run.memory: expected at least 6MiB"),
    ("run.memory_reservation = 1000", "run.memory_reservation: expected at least 6MiB"),
    ("run.memory = '64MiB'\nrun.memory_swap = '32MiB'", "run.memory_swap: expected at least run.memory (67108864 bytes)"),
    ("run.memory_swap = '1GB'", "run.memory_swap: needs run.memory"),
    ("run.memory = '64MiB'\nrun.memory_reservation = '1GB'", "run.memory_reservation: expected at most run.memory"),
    ("run.cpu_shares = 1", "run.cpu_shares: expected at least 2"),
    ("run.cap_add = 'SYS_TIME'\nrun.cap_drop = 'CAP_SYS_TIME'", 'run.cap_drop: "SYS_TIME" is in run.cap_add, too'),
    ("run.tmpfs = '/data/:size=1m'\nvolumes = 'x:/data'", 'run.tmpfs: "/data" is mounted there by volumes, too'),
    ("run.network_aliases = 'db'", "run.network_aliases: needs a network in networks"),
    ("run.ip = '172.30.0.9'", "run.ip: needs a network in networks"),
    ("run.ip = '172.30.0.9'\nnetworks = 'n'\nstrategy = 'rolling'", "run.ip: two containers would have the same"),
    ("run.mac_address = '02:42:ac:1e:00:0a'\nnetworks = 'n'\nreplicas = 2", "run.mac_address: two containers would"),
]


@pytest.mark.parametrize(("text", "expected"), CONTRADICTIONS)
def test_contradictions(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f'[apps."o/app"]\n{text}'.encode(), Path("/c.toml"))
    (problem,) = caught.value.problems
    assert problem.startswith(f'/c.toml: apps."o/app".{expected}')


def test_what_is_right_together() -> None:
    text = """
[apps."o/app"]
networks = ["n"]
run = { memory = "64MiB", memory_swap = -1, memory_reservation = "6MiB", ip = "172.30.0.9", network_aliases = ["a"] }
"""
    assert parse_config(text.encode(), Path("/c.toml")).apps["o/app"].run.memory_swap == -1


def test_a_release_keeps_all_of_it() -> None:
    examples = {path: key.example for path, key in APP_KEYS.items() if path.startswith("run.") and key.example is not None}
    lines = "\n".join(f"{path} = {json.dumps(value)}" for path, value in examples.items() if not isinstance(value, dict))
    text = f'[apps."o/app"]\nnetworks = "n"\n{lines}\nrun.ulimits = {{ nofile = "1:2" }}\nrun.sysctls = {{ "net.a" = 1 }}'
    app = parse_config(text.encode(), Path("/c.toml")).apps["o/app"]
    assert all(value_of(app, path) for path in examples if path not in ("run.labels", "run.log_opts"))
    assert snapshot.load(snapshot.dump(app)) == app
