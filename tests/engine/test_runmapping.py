"""Each option of `[apps.X.run]` is in the request that makes a container, and is known again in what an engine shows of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest

from gitdeploy.config.model import App
from gitdeploy.config.runoptions import Run
from gitdeploy.engine import mapping
from gitdeploy.engine.madewith import made_with
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.targets.docker.adopting import dropped
from tests.support.runs import EACH

UNLISTED = {"no_new_privileges", "log_driver"}
"""What adoption does not tell of: gitdeploy's own is the safer, and where logs go changes nothing for the app."""


def body(**run: Any) -> dict[str, Any]:
    return mapping.creation(ContainerSpec("c", "i", networks=("n",), own_network="n", run=Run(**run)))


def inspected(request: Mapping[str, Any]) -> dict[str, Any]:
    """What an engine shows of a container made so, without what it adds."""
    networks = request["NetworkingConfig"]["EndpointsConfig"]
    config = {key: value for key, value in request.items() if key not in ("HostConfig", "NetworkingConfig")}
    return {"Id": "0123", "Config": config, "HostConfig": request["HostConfig"], "NetworkSettings": {"Networks": networks}}


def test_there_is_a_value_for_each_field() -> None:
    assert list(EACH) == [field.name for field in fields(Run)]


@pytest.mark.parametrize("name", EACH)
def test_each_is_in_the_request(name: str) -> None:
    assert body(**{name: EACH[name]}) != body()


@pytest.mark.parametrize("name", sorted(EACH.keys() - UNLISTED))
def test_each_is_known_again_and_told_unless_config_toml_gives_it(name: str) -> None:
    facts = inspected(body(**{name: EACH[name]}))
    own = App("o/a", "i", "c", networks=("n",))
    lost = dict(dropped(own, (), made_with(facts, {})))
    if name == "pids_limit":  # every container of gitdeploy's has one
        assert lost == {}
        return
    assert lost
    assert all(way.startswith(f"run.{name}") for way in lost.values()), lost
    given = App("o/a", "i", "c", networks=("n",), run=Run(**{name: EACH[name]}))
    assert dict(dropped(given, (), made_with(facts, {}))) == {}


def test_the_forms() -> None:
    host = body(**{name: EACH[name] for name in ("devices", "gpus", "ulimits", "tmpfs", "security_opt", "cpus")})["HostConfig"]
    assert host["Devices"] == [
        {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/zero", "CgroupPermissions": "rwm"},
        {"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"},
    ]
    assert host["DeviceRequests"] == [{"Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}]
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": 200}]
    assert host["Tmpfs"] == {"/run": "", "/tmp": "size=1m,mode=1777"}
    assert host["SecurityOpt"] == ["no-new-privileges", "seccomp=unconfined"]
    assert host["NanoCpus"] == 1_500_000_000
    assert body(gpus="device=0,1")["HostConfig"]["DeviceRequests"][0]["DeviceIDs"] == ["0", "1"]
    assert body(gpus="2")["HostConfig"]["DeviceRequests"][0]["Count"] == 2


def test_names_and_addresses_hold_on_the_network_of_its_own_only() -> None:
    run = Run(network_aliases=("www",), ip="172.30.0.10", mac_address="02:42:ac:1e:00:0a")
    spec = ContainerSpec("c", "i", networks=("router", "n", "m"), aliases=("r1",), own_network="n", run=run)
    assert mapping.endpoint(spec, "router") == {"Aliases": ["r1"]}
    assert mapping.endpoint(spec, "n") == {
        "Aliases": ["www"],
        "IPAMConfig": {"IPv4Address": "172.30.0.10"},
        "MacAddress": "02:42:ac:1e:00:0a",
    }
    assert mapping.endpoint(spec, "m") == {"Aliases": []}


def test_the_labels_of_gitdeploy_stand_above_those_of_the_app() -> None:
    spec = ContainerSpec("c", "i", labels={"a": "ours"}, run=Run(labels={"a": "theirs", "b": "theirs"}))
    assert mapping.creation(spec)["Labels"] == {"a": "ours", "b": "theirs"}


def test_what_an_engine_adds_is_no_option_of_anybodys() -> None:
    host = {
        **{"ShmSize": 64 << 20, "IpcMode": "private", "Runtime": "runc", "Memory": 64 << 20, "MemorySwap": 128 << 20},
        **{"OomScoreAdj": 0, "PidsLimit": -1, "PidMode": "host", "SecurityOpt": ["label=disable"], "Devices": None},
        **{"LogConfig": {"Type": "json-file", "Config": {}}, "NetworkMode": "default", "DeviceRequests": None},
    }
    config = {"Hostname": "0123456789ab", "WorkingDir": "/", "Env": ["PATH=/bin"], "Cmd": ["a"], "StopSignal": "SIGQUIT"}
    image = {"Config": {"Env": ["PATH=/bin"], "Cmd": ["a"], "StopSignal": "SIGQUIT"}}
    networks = {"bridge": {"Aliases": None}, "n": {"Aliases": ["0123456789ab", "old"], "IPAMConfig": {}}}
    facts = {"Id": "0123456789abcdef", "Name": "/old", "Config": config, "HostConfig": host}
    told = made_with({**facts, "NetworkSettings": {"Networks": networks}}, image)
    assert [given.option for given in told] == ["--memory 67108864", "--pid host", "--network n"]


def test_what_may_be_secret_is_not_told() -> None:
    secret = {"labels": {"auth": "hunter2"}, "log_opts": {"token": "hunter2"}}
    told = made_with(
        inspected(body(command=("redis", "--pass", "hunter2"), pids_limit=0, no_new_privileges=False, **secret)), {}
    )
    assert "hunter2" not in repr(told)
    assert [given.option for given in told] == ["--log-opt token", "a command of its own", "--label auth", "--network n"]


def test_what_has_no_key() -> None:
    host = {"PublishAllPorts": True, "VolumesFrom": ["db"], "Links": ["/db:/web/db"], "NetworkMode": "container:db"}
    lost = dict(dropped(App("o/a", "i", "c"), (), made_with({"HostConfig": host}, {})))
    assert lost.keys() == {"-P", "--volumes-from db", "--link db", "--network container:db"}
    assert set(lost.values()) == {"no key of config.toml does that: see whether the image can"}
