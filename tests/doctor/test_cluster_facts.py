"""What doctor says of a cluster, from what it is told."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App
from gitdeploy.config.sections import Swarm
from gitdeploy.doctor.clustercheck import judge_nodes, judge_plain_registries, judge_ports, port_taken, without_tls
from gitdeploy.doctor.placement import fits, judge_placement, platform_key
from gitdeploy.engine.cluster import Membership, Node
from gitdeploy.engine.types import Container

BOX1 = Node("id1", "box1", manager=True, leader=True, address="10.0.0.1", platform="linux/x86_64", labels={"zone": "A"})
BOX2 = Node("id2", "box2", address="10.0.0.2", platform="linux/x86_64", labels={"zone": "b"})
BOX3 = Node("id3", "box3", address="10.0.1.3", platform="linux/aarch64")
PORT = Publish("", 8080, 80)
APP = App("o/shop", "10.0.0.1:5000/shop", "shop", target="swarm", publish=(PORT,))


def bound(*constraints: str) -> App:
    return replace(APP, swarm=Swarm(constraints=constraints))


@pytest.mark.parametrize(
    ("constraint", "names"),
    [
        ("node.id==id1", "1"),
        ("node.hostname == BOX2", "2"),
        ("node.hostname!=box2", "13"),
        ("node.role==manager", "1"),
        ("node.role!=manager", "23"),
        ("node.ip==10.0.0.1", "1"),
        ("node.ip==10.0.0.0/24", "12"),
        ("node.ip!=10.0.0.0/24", "3"),
        ("node.ip==box1", ""),
        ("node.ip!=box1", ""),  # what is no address fits nobody
        ("node.platform.os==linux", "123"),
        ("node.platform.arch==x86_64", "12"),
        ("node.platform.arch==amd64", ""),  # the cluster does not translate it
        ("node.labels.zone==a", "1"),
        ("node.labels.zone!=a", "23"),  # a machine without the label is not in that zone
        ("node.labels.Zone==a", ""),
        ("engine.labels.disk==ssd", "123"),  # only the engines know
    ],
)
def test_constraints(constraint: str, names: str) -> None:
    assert [node.name[-1] for node in (BOX1, BOX2, BOX3) if fits(node, constraint)] == list(names)


def test_an_address_that_is_not_known_fits_nothing() -> None:
    assert not fits(replace(BOX1, address=""), "node.ip==10.0.0.1")


@pytest.mark.parametrize(
    ("machine", "image"), [("linux/x86_64", "linux/amd64"), ("linux/aarch64", "linux/arm64"), ("linux/s390x", "linux/s390x")]
)
def test_platforms_have_one_spelling(machine: str, image: str) -> None:
    assert platform_key(machine) == platform_key(image) == image


DOWN, DRAINED = replace(BOX2, state="down"), replace(BOX2, availability="drain")


@pytest.mark.parametrize(
    ("app", "nodes", "said"),
    [
        (APP, [BOX1, BOX2], ""),
        (bound("node.labels.zone==b"), [BOX1, BOX2], ""),
        (bound("node.labels.zone==c"), [BOX1, BOX2], "none of box1, box2 fits node.labels.zone==c"),
        (bound("node.role==worker", "node.labels.zone==a"), [BOX1, BOX2], "none of box1, box2 fits node.role==worker, node."),
        (bound("node.labels.zone==b"), [BOX1, DOWN], "no machine takes its tasks: box2 (down) fits node.labels.zone==b"),
        (bound("node.labels.zone==b"), [BOX1, DRAINED], "no machine takes its tasks: box2 (availability drain)"),
        (APP, [BOX1, BOX3], "its image is for linux/amd64 and may be started on box3 (linux/arm64)"),
        (bound("node.platform.arch==x86_64"), [BOX1, BOX3], ""),
        (APP, [BOX1, replace(BOX3, state="down")], ""),
    ],
)
def test_where_an_app_may_run(app: App, nodes: list[Node], said: str) -> None:
    found = list(judge_placement(app, nodes, "linux/amd64"))
    assert [(f.level, f.app) for f in found] == [("error", "o/shop")] * bool(said)
    assert not said or said in found[0].found


def test_the_way_out_for_another_processor_is_spelled_as_machines_spell_it() -> None:
    (found,) = judge_placement(APP, [BOX1, BOX3], "linux/amd64")
    constraint = found.fix.split('"')[1]
    assert [node.name for node in (BOX1, BOX3) if fits(node, constraint)] == ["box1"]


def test_an_image_of_which_nobody_knows_the_processor_is_not_judged() -> None:
    assert list(judge_placement(APP, [BOX1, BOX3], "")) == []


@pytest.mark.parametrize(
    ("nodes", "levels", "said"),
    [
        ([BOX1, BOX2], ["ok"], "machines: box1, this one (manager); box2"),
        ([BOX1, DOWN], ["warning", "ok"], "box2 is down"),
        ([BOX1, DRAINED], ["warning", "ok"], "box2 takes no tasks (availability drain)"),
        ([BOX1, replace(BOX2, availability="pause")], ["warning", "ok"], "box2 takes no tasks (availability pause)"),
        ([replace(BOX1, availability="drain"), BOX2], ["ok"], "box1, this one (manager) (availability drain); box2"),
    ],
)
def test_machines_that_run_nothing(nodes: list[Node], levels: list[str], said: str) -> None:
    found = list(judge_nodes(nodes, "id1"))
    assert [f.level for f in found] == levels
    assert said in found[0].found


@pytest.mark.parametrize(
    ("host", "insecure", "plain"),
    [
        ("10.0.0.1:5000", ("10.0.0.1:5000",), True),
        ("10.0.0.1:5000", ("127.0.0.0/8", "10.0.0.0/24"), True),
        ("10.0.0.1:5000", ("127.0.0.0/8", "::1/128", "10.0.0.1:5001"), False),
        ("[::1]:5000", ("::1/128",), True),
        ("box1:5000", ("127.0.0.0/8",), False),
        ("docker.io", ("127.0.0.0/8",), False),
    ],
)
def test_registries_without_tls(host: str, insecure: tuple[str, ...], plain: bool) -> None:
    assert without_tls(host, insecure) is plain


def test_every_machine_needs_to_know_of_a_registry_without_tls() -> None:
    here = Membership(active=True, manager=True, insecure=("10.0.0.1:5000", "127.0.0.0/8"))
    (found,) = judge_plain_registries([APP, APP], [BOX1, BOX2], here)
    assert (found.level, '{"insecure-registries": ["10.0.0.1:5000"]}' in found.found) == ("ok", True)
    local = replace(APP, image="127.0.0.1:5000/shop")
    assert list(judge_plain_registries([local], [BOX1, BOX2], here)) == []
    assert list(judge_plain_registries([APP], [BOX1], here)) == []


def container(app: str, port: int = 8080) -> Container:
    return Container(
        "c", "nginx", "i", "nginx:1", {"gitdeploy.app": app} if app else {}, "running", publish=(Publish("", port, 80),)
    )


@pytest.mark.parametrize(
    ("containers", "served", "taken", "said"),
    [
        ([], False, False, ""),
        ([container("")], False, True, "taken by container nginx (nginx:1)"),
        ([container("o/other")], False, True, "taken by container nginx"),
        ([container("", 9090)], False, False, ""),
        ([container("o/shop")], False, True, ""),  # its router has it
        ([], True, True, ""),  # its service has it
        ([], False, True, "taken by a program of this machine"),
        ([], False, None, ""),
    ],
)
def test_ports_of_the_manager(containers: list[Container], served: bool, taken: bool | None, said: str) -> None:
    found = list(judge_ports(APP, containers, served, None if taken is None else lambda _: taken))
    assert [f.level for f in found] == ["error"] * bool(said)
    assert not said or said in found[0].found


def test_a_port_is_asked_for() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        one.listen()
        assert port_taken(Publish("127.0.0.1", port, 80))
        assert port_taken(Publish("", port, 80))
        assert not port_taken(Publish("127.0.0.1", port, 80, "udp"))
    assert not port_taken(Publish("127.0.0.1", port, 80))
