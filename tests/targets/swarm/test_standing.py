"""Whether a cluster can be asked for anything, and what an app asks for in vain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.model import App, AppProcess
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import Router, Swarm
from gitdeploy.engine.cluster import Membership, Node
from gitdeploy.errors import StageFailed
from gitdeploy.targets.swarm.standing import membership_problem, quorum_problem, require_services

BOX1, BOX2 = Node("1", "box1", manager=True), Node("2", "box2")
OLD, NEW = "1.41", "1.51"
APP = App("o/shop", "10.0.0.1:5000/shop", "shop", target="swarm", strategy="rolling", publish=(Publish("", 8080, 80),))
DATA = Volume("shop-data", "/data")


@pytest.mark.parametrize(
    ("membership", "said", "hint"),
    [
        (Membership(active=True, manager=True), "", ""),
        (Membership(active=False, manager=False), "this engine is in no cluster", "docker swarm init"),
        (Membership(active=True, manager=False), "this engine is a worker", "docker node promote"),
        (Membership(active=True, manager=True, error="no leader"), "the cluster says: no leader", "docker node ls"),
    ],
)
def test_an_engine_that_cannot_be_asked(membership: Membership, said: str, hint: str) -> None:
    found = membership_problem(membership)
    assert said in found[0]
    assert hint in found[1]
    assert bool(found[0]) == bool(said)


def managers(*states: str) -> list[Node]:
    """One manager for each letter: u is up, d down, x not reached by the others."""
    return [
        Node(s, f"m{n}", manager=True, state="down" if s == "d" else "ready", reachable=s != "x") for n, s in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("states", "decide"),
    [("u", True), ("uu", True), ("ud", False), ("uux", True), ("uxd", False), ("uuxx", False), ("uuuxx", True)],
)
def test_it_takes_more_than_half(states: str, decide: bool) -> None:
    reason, hint = quorum_problem([*managers(*states), BOX2, replace(BOX2, state="down")])
    assert (reason == "") is decide
    if not decide:
        assert all(f"m{n}" in hint for n, state in enumerate(states) if state != "u")


SPREAD = replace(APP, publish=(Publish("", 8080, 80),), router=Router(nodes="entry==yes"))


@pytest.mark.parametrize(
    ("app", "nodes", "api", "said"),
    [
        (APP, [BOX1, BOX2], NEW, ""),
        (APP, [BOX1], OLD, "run.no_new_privileges"),
        (replace(APP, run=Run(no_new_privileges=False)), [BOX1], OLD, ""),
        (replace(APP, run=Run(privileged=True, cpuset="0")), [BOX1], NEW, "cannot have run.cpuset, run.privileged (o/shop)"),
        (
            replace(APP, processes={"worker": AppProcess(run=Run(devices=("/dev/kvm",)))}),
            [BOX1],
            NEW,
            "cannot have run.devices (process worker of o/shop)",
        ),
        (replace(APP, publish=(Publish("127.0.0.1", 8080, 80),)), [BOX1], NEW, ""),  # the router's
        (
            replace(APP, strategy="recreate", publish=(Publish("127.0.0.1", 8080, 80),)),
            [BOX1],
            NEW,
            "cannot have 127.0.0.1:8080:80",
        ),
        (
            replace(APP, router=Router(kind="external"), publish=(Publish("::1", 80, 80),)),
            [BOX1],
            NEW,
            "cannot have [::1]:80:80",
        ),
        (replace(APP, volumes=(replace(DATA, options=("z",)),)), [BOX1], NEW, "cannot have shop-data:/data:z"),
        (replace(APP, image="127.0.0.1:5000/shop"), [BOX1], NEW, ""),
        (replace(APP, image="127.0.0.1:5000/shop"), [BOX1, BOX2], NEW, "look for that registry on itself"),
        (replace(APP, image="localhost:5000/shop"), [BOX1, BOX2], NEW, "look for that registry on itself"),
        (replace(APP, image="6ain/shop"), [BOX1, BOX2], NEW, ""),
        (SPREAD, [BOX1, BOX2], NEW, "router.nodes: no machine that is there has the label entry==yes"),
        (SPREAD, [BOX1, replace(BOX2, labels={"entry": "yes"})], NEW, ""),
        (SPREAD, [BOX1, replace(BOX2, labels={"entry": "yes"}, state="down")], NEW, "no machine that is there"),
        (replace(SPREAD, publish=(Publish("10.0.0.1", 80, 80),)), [BOX1], NEW, "cannot have 10.0.0.1:80:80"),
        (
            replace(SPREAD, router=replace(SPREAD.router, image="127.0.0.1:5000/haproxy:3")),
            [BOX1, replace(BOX2, labels={"entry": "yes"})],
            NEW,
            "router.image = '127.0.0.1:5000/haproxy:3': every machine",
        ),
        (replace(APP, volumes=(DATA,)), [BOX1], NEW, ""),
        (replace(APP, volumes=(DATA,)), [BOX1, BOX2], NEW, "volumes: shop-data:/data is on one machine"),
        (replace(APP, volumes=(replace(DATA, read_only=True),)), [BOX1, BOX2], NEW, ""),
        (replace(APP, volumes=(DATA,), swarm=Swarm(constraints=("node.hostname==box1",))), [BOX1, BOX2], NEW, ""),
        (replace(APP, volumes=(DATA,), swarm=Swarm(constraints=("node.id == 1",))), [BOX1, BOX2], NEW, ""),
        (replace(APP, volumes=(DATA,), swarm=Swarm(constraints=("node.hostname!=box1",))), [BOX1, BOX2], NEW, "on one machine"),
        (replace(APP, volumes=(DATA,), swarm=Swarm(constraints=("node.labels.a==b",))), [BOX1, BOX2], NEW, "on one machine"),
    ],
)
def test_what_services_do_not_have(app: App, nodes: list[Node], api: str, said: str) -> None:
    try:
        require_services(app, nodes, api)
    except StageFailed as error:
        assert said
        assert said in error.reason
        assert error.hint
    else:
        assert not said
