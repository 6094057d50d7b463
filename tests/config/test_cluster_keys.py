"""`target` and `[apps.X.swarm]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.config.load import apply_tree
from gitdeploy.config.sections import Swarm
from gitdeploy.errors import ConfigError
from tests.config.loading import config, problems

APP = '[apps."o/shop"]\ntarget = "swarm"\n'


def test_containers_are_the_default() -> None:
    app = config('[apps."o/shop"]').apps["o/shop"]
    assert (app.target, app.swarm) == ("docker", Swarm())


def test_all_of_it() -> None:
    app = config(
        APP + 'env_file = "/e"\n[apps."o/shop".swarm]\nconstraints = ["node.labels.zone == a", "node.role!=manager"]\n'
        'spread = ["node.labels.rack"]\nsecret_files = ["DB_PASSWORD"]'
    ).apps["o/shop"]
    assert app.target == "swarm"
    assert app.swarm == Swarm(("node.labels.zone == a", "node.role!=manager"), ("node.labels.rack",), ("DB_PASSWORD",))


@pytest.mark.parametrize(
    "constraint",
    [
        *("node.id==abc", "node.hostname!=box1", "node.ip==10.0.0.0/8", "node.role==worker", "node.platform.os==linux"),
        *("node.platform.arch==x86_64", "engine.labels.disk==ssd", "node.labels.com.example-1.zone==eu:1"),
    ],
)
def test_constraints(constraint: str) -> None:
    assert config(f'{APP}swarm.constraints = ["{constraint}"]').apps["o/shop"].swarm.constraints == (constraint,)


@pytest.mark.parametrize(
    "constraint",
    [
        *("", "box1", "node.hostname", "node.hostname=box1", "node.name==box1", "node.hostname=~box.*", "node.labels==a"),
        *(
            "node.labels.a==b c",
            "node.labels.a==",
            "node.labels.a/b==c",
            "node.labels.a==b@c",
            "zone==a",
            "node.hostname==box1,node.role==worker",
        ),
    ],
)
def test_what_is_no_constraint(constraint: str) -> None:
    (problem,) = problems(f'{APP}swarm.constraints = ["{constraint}"]')
    assert "swarm.constraints" in problem
    assert "expected a placement constraint such as" in problem


@pytest.mark.parametrize("spread", ["zone", "node.hostname", "node.labels.", "node.labels.zone==a"])
def test_what_is_no_label_to_spread_over(spread: str) -> None:
    (problem,) = problems(f'{APP}swarm.spread = ["{spread}"]')
    assert 'expected a node label such as "node.labels.zone"' in problem


def test_another_target_is_not_known() -> None:
    (problem,) = problems('[apps."o/shop"]\ntarget = "kubernetes"')
    assert "target" in problem
    assert "swarm" in problem


def test_a_cluster_needs_a_registry() -> None:
    (problem,) = problems(f"{APP}push.enabled = false")
    assert 'apps."o/shop".push.enabled' in problem
    assert "pull the image from a registry" in problem


def test_files() -> None:
    app = config(f'{APP}swarm.files = {{ "/etc/shop.conf" = "/srv/shop.conf" }}').apps["o/shop"]
    assert app.swarm.files == {"/etc/shop.conf": Path("/srv/shop.conf")}


@pytest.mark.parametrize(
    "inner", ["etc/shop.conf", "/etc/../shadow", "/etc/", "/", "/etc//a", "/etc/./a", "/run/secrets/a", "/a b", ""]
)
def test_a_path_that_no_file_can_have(inner: str) -> None:
    (problem,) = problems(f'{APP}swarm.files = {{ "{inner}" = "/srv/shop.conf" }}')
    assert "the absolute path of a file in the container" in problem


def test_files_and_volumes() -> None:
    (problem,) = problems(f'{APP}swarm.files = {{ "/etc/a" = "/srv/a" }}\nvolumes = ["/srv/b:/etc/a:ro"]')
    assert '"/etc/a" is mounted there by volumes, too' in problem


@pytest.mark.parametrize(
    "key",
    [
        'target = "swarm"',
        'swarm.constraints = ["node.role==worker"]',
        'swarm.secret_files = ["A"]',
        'swarm.files = { "/a" = "/etc/shadow" }',
    ],
)
def test_a_tree_has_no_say_in_where_it_runs(key: str) -> None:
    server = config('[apps."o/shop"]')
    with pytest.raises(ConfigError):
        apply_tree(server, server.apps["o/shop"], key.encode(), "gitdeploy.toml")
