"""What `gitdeploy status` says of processes and machines."""

from __future__ import annotations

import pytest

from gitdeploy.cli.status import _strengths, _where
from gitdeploy.config.model import App, AppProcess
from gitdeploy.targets.target import Strength

PLAIN = App("o/r", "r", "r")
CLUSTER = App("o/r", "r", "r", target="swarm")
BOTH = (Strength("web", 1, 2), Strength("worker", 1, 1))


@pytest.mark.parametrize(
    ("machines", "text"),
    [
        ([], ""),
        (["box1"], " (box1)"),
        (["box2", "box1", "box2"], " (box1, box2 ×2)"),
    ],
)
def test_machines(machines: list[str], text: str) -> None:
    assert _where({"running": len(machines), "wanted": 3, "where": machines}) == text


def test_a_single_engine_has_no_machines() -> None:
    assert _where({"running": 1, "wanted": 1}) == ""


def test_what_is_said_of_containers_stays() -> None:
    several = App("o/r", "r", "r", processes={"worker": AppProcess()})
    assert _strengths(PLAIN, BOTH[:1]) == {}
    assert _strengths(several, BOTH) == {"web": {"running": 1, "wanted": 2}, "worker": {"running": 1, "wanted": 1}}


def test_what_is_said_of_services() -> None:
    found = [Strength("web", 2, 3, "2 of its 3 tasks run", ("box1", "box2"))]
    assert _strengths(CLUSTER, found) == {"web": {"running": 2, "wanted": 3, "where": ["box1", "box2"]}}
    assert _strengths(CLUSTER, [Strength("web", 0, 3)]) == {"web": {"running": 0, "wanted": 3, "where": []}}
