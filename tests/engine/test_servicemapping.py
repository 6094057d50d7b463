"""The rarer forms of services, tasks and nodes, and what services cannot hold; the common forms are asked of a real Swarm."""

from __future__ import annotations

from typing import Any

import pytest

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.runoptions import Run
from gitdeploy.engine import servicemapping
from gitdeploy.engine.cluster import Node, SecretFile, ServiceSpec, ServiceTask
from gitdeploy.engine.servicelogs import told
from gitdeploy.engine.serviceoptions import LACKED, tmpfs, unsupported, unsupported_attachments, volume_mount
from tests.support.runs import EACH


def body(**fields: Any) -> dict[str, Any]:
    return servicemapping.service_creation(ServiceSpec("s", "i@sha256:0", **fields))


def container(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = body(**fields)["TaskTemplate"]["ContainerSpec"]
    return found


@pytest.mark.parametrize("name", EACH)
def test_each_option_is_in_the_request_or_refused(name: str) -> None:
    run = Run(**{name: EACH[name]})
    plain = {"networks": ("n",), "own_network": "n", "volumes": (Volume("data", "/data"),)}
    lacked = unsupported(run, "1.56") == [name]
    assert lacked == (name in LACKED)
    assert (body(run=run, **plain) == body(**plain)) == lacked


@pytest.mark.parametrize(
    ("version", "lost"),
    [
        ("1.41", ["oom_score_adj", "no_new_privileges", "security_opt"]),
        ("1.44", ["oom_score_adj"]),
        ("1.46", []),
    ],
)
def test_what_older_engines_lack(version: str, lost: list[str]) -> None:
    assert unsupported(Run(oom_score_adj=5, security_opt=("apparmor=unconfined",)), version) == lost


@pytest.mark.parametrize("option", ["apparmor=docker-default", "seccomp=builtin"])
def test_profiles_that_cannot_be_named(option: str) -> None:
    assert unsupported(Run(security_opt=(option,)), "1.56") == ["security_opt"]
    assert unsupported(Run(security_opt=("label=disable",), no_new_privileges=False), "1.41") == []


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        ("/run", None),
        ("/t:size=64m", {"SizeBytes": 64 << 20}),
        ("/t:size=1g,mode=700", {"SizeBytes": 1 << 30, "Mode": 0o700}),
        ("/t:size=4096", {"SizeBytes": 4096}),
    ],
)
def test_directories_in_memory(entry: str, options: dict[str, int] | None) -> None:
    mount = tmpfs(entry)
    assert mount is not None
    assert mount.get("TmpfsOptions") == options
    assert unsupported(Run(tmpfs=(entry,)), "1.56") == []


@pytest.mark.parametrize("entry", ["/t:exec", "/t:size=50%", "/t:size=1m,uid=5"])
def test_directories_in_memory_that_cannot_be(entry: str) -> None:
    assert unsupported(Run(tmpfs=("/run", entry)), "1.56") == ["tmpfs"]


def test_volumes() -> None:
    assert volume_mount(Volume("/srv", "/srv", True, ("rslave",)), "nfs") == {
        **{"Type": "bind", "Source": "/srv", "Target": "/srv", "ReadOnly": True},
        "BindOptions": {"Propagation": "rslave"},
    }
    assert volume_mount(Volume("data", "/data", False, ("nocopy",)), "nfs") == {
        **{"Type": "volume", "Source": "data", "Target": "/data", "ReadOnly": False},
        "VolumeOptions": {"NoCopy": True, "DriverConfig": {"Name": "nfs"}},
    }
    relabelled, plain = Volume("data", "/data", False, ("Z",)), Volume("data", "/data", True, ("nocopy",))
    local, everywhere = Publish("127.0.0.1", 80, 80), Publish("", 80, 80)
    assert unsupported_attachments((relabelled, plain), (local, everywhere)) == ["data:/data:Z", "127.0.0.1:80:80"]


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("always", {"Condition": "any"}),
        ("unless-stopped", {"Condition": "any"}),
        ("on-failure", {"Condition": "on-failure"}),
        ("on-failure:3", {"Condition": "on-failure", "MaxAttempts": 3}),
        ("no", {"Condition": "none"}),
    ],
)
def test_restart(written: str, policy: dict[str, Any]) -> None:
    assert body(restart=written)["TaskTemplate"]["RestartPolicy"] == policy


@pytest.mark.parametrize(
    ("run", "driver"),
    [
        (Run(), {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "3"}}),
        (Run(log_opts={"max-file": "5"}), {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "5"}}),
        (Run(log_driver="json-file", log_opts={"max-size": "1g"}), {"Name": "json-file", "Options": {"max-size": "1g"}}),
        (Run(log_driver="journald"), {"Name": "journald", "Options": {}}),
    ],
)
def test_logs_end_somewhere(run: Run, driver: dict[str, Any]) -> None:
    assert body(run=run)["TaskTemplate"]["LogDriver"] == driver


def test_the_forms() -> None:
    names = {"networks": ("n", "m"), "own_network": "m", "aliases": ("a",), "run": Run(network_aliases=("b",))}
    spec = {"publish": (Publish("", 53, 5353, "udp"),), "constraints": ("node.role==worker",), "spread": ("node.labels.zone",)}
    made = body(**names, **spec, replicas=3, labels={"x": "y"}, healthcheck=False, stop_timeout=2.5)
    assert made["EndpointSpec"] == {
        "Mode": "dnsrr",
        "Ports": [{"Protocol": "udp", "TargetPort": 5353, "PublishedPort": 53, "PublishMode": "host"}],
    }
    task = made["TaskTemplate"]
    assert task["Networks"] == [{"Target": "n", "Aliases": ["a"]}, {"Target": "m", "Aliases": ["b"]}]
    assert task["Placement"] == {
        "Constraints": ["node.role==worker"],
        "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.zone"}}],
    }
    assert (task["Resources"], made["Mode"]) == ({"Limits": {"Pids": 4096}}, {"Replicated": {"Replicas": 3}})
    assert task["ContainerSpec"]["Healthcheck"] == {"Test": ["NONE"]}
    assert task["ContainerSpec"]["StopGracePeriod"] == 2_500_000_000
    secret = container(secrets=(SecretFile("id", "s-1", "token"),))["Secrets"]
    file = {"Name": "token", "UID": "0", "GID": "0", "Mode": 0o444}
    assert secret == [{"SecretID": "id", "SecretName": "s-1", "File": file}]
    assert "hunter2" not in repr(ServiceSpec("s", "i", env={"PASSWORD": "hunter2"}))


def test_the_least_that_a_cluster_says() -> None:
    service = servicemapping.service({"ID": "1", "Spec": {"Name": "s", "Mode": {"Global": {}}}})
    assert (service.labels, service.image, service.replicas, service.secrets) == ({}, "", 0, ())
    assert servicemapping.task({"ID": "1"}) == ServiceTask("1", "", 0, "", "new", "", addresses={})
    assert servicemapping.node({"ID": "1"}) == Node("1", "", state="unknown", availability="", labels={})
    member = servicemapping.membership({"Swarm": {"LocalNodeState": "inactive"}})
    assert (member.active, member.manager, member.error, member.insecure) == (False, False, "", ())


@pytest.mark.parametrize(
    ("swarm", "error"),
    [
        ({"LocalNodeState": "active", "Error": "no leader"}, "no leader"),
        ({"LocalNodeState": "locked"}, "this engine's part in it is locked"),
        ({"LocalNodeState": "active"}, ""),
    ],
)
def test_what_is_wrong(swarm: dict[str, Any], error: str) -> None:
    member = servicemapping.membership({"Swarm": swarm})
    assert (member.active, member.error) == (True, error)


def test_a_manager_out_of_reach() -> None:
    facts = {"ID": "1", "Spec": {"Role": "manager"}, "ManagerStatus": {"Reachability": "unreachable"}}
    node = servicemapping.node({**facts, "Status": {"State": "down"}})
    assert (node.manager, node.leader, node.reachable, node.ready) == (True, False, False, False)


def test_output_of_many_nodes_is_in_order_and_says_whose_it_is() -> None:
    def line(second: int, node: str, task: str, text: str) -> str:
        by = f"com.docker.swarm.node.id={node},com.docker.swarm.service.id=s,com.docker.swarm.task.id={task}"
        return f"2026-01-01T00:00:{second:02}.000000000Z {by} {text}"

    tasks = [ServiceTask("t1", "s", 1, "n1", "running", "running"), ServiceTask("t2", "s", 2, "n2", "running", "running")]
    lines = [line(2, "n1", "t1", "second  one"), "warning: node gone", line(1, "n2", "t2", "first"), line(3, "n3", "t3", "")]
    assert told(lines, tasks, [Node("n1", "box1"), Node("n2", "box2")], 9) == [
        *("2@box2 | first", "1@box1 | second  one", "t3@n3 | "),
        "warning: node gone",
    ]
    assert told(lines, [], [], 1) == ["warning: node gone"]
