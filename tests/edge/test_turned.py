"""Between a release's switch and the end of its deployment the edge leads to it, whoever else looks at the records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.config import snapshot
from gitdeploy.config.load import parse_config
from gitdeploy.edge.boxedge import BoxEdge
from gitdeploy.edge.turned import Turned, read_turned, write_turned
from gitdeploy.releases.state import State
from gitdeploy.targets.upstream import upstreams

TEXT = b'[apps."o/r"]\ndomains = ["a.example.com"]\nport = 80\nstrategy = "rolling"'


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[BoxEdge]:
    """An edge that needs no engine, and records in which release 1 is live and 2 is being deployed."""
    config = parse_config(TEXT, Path("/c.toml"))
    app = config.apps["o/r"]
    with State(tmp_path / "state.db") as state:
        for number in (1, 2):
            assert state.enqueue("o/r", f"{number}-a", trigger="push", created=1.0) == number
            state.update(number, status="running", config=snapshot.dump(replace(app, replicas=number)))
        state.end(1, "succeeded", finished=2.0)
        none: Any = None
        yield BoxEdge(tmp_path, config, state, none, none, upstreams, none, now=lambda: 3.0, clock=lambda: 4.0)


def live(edge: BoxEdge) -> int:
    """Which release it leads to, by its replicas."""
    return edge.live()["o/r"].replicas


def test_what_was_turned_counts_until_its_deployment_ends(edge: BoxEdge) -> None:
    assert live(edge) == 1
    app = replace(edge.config.apps["o/r"], replicas=2)
    write_turned(edge.home, Turned(2, "o/r", snapshot.dump(app)))
    assert live(edge) == 2
    edge.state.end(2, "failed", finished=3.0)
    assert live(edge) == 1


def test_what_was_turned_back_counts_no_more(edge: BoxEdge) -> None:
    write_turned(edge.home, Turned(2, "o/r", snapshot.dump(edge.config.apps["o/r"])))
    write_turned(edge.home, Turned(3, "o/other", "{}"))
    write_turned(edge.home, Turned(0, "o/r", ""))
    assert [*read_turned(edge.home)] == ["o/other"]
    assert live(edge) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"o/r": 1}', '{"o/r": {"number": 2}}', "\0"])
def test_a_record_that_cannot_be_read_counts_for_nothing(edge: BoxEdge, text: str) -> None:
    (edge.home / "turned.json").write_text(text)
    assert live(edge) == 1
