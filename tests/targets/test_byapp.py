"""Each app on its own target, and the way from one to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any, cast

import pytest

from gitdeploy.config.model import App, TargetName
from gitdeploy.engine.types import Image
from gitdeploy.errors import EngineError, EngineGone, StageFailed
from gitdeploy.releases.release import Release
from gitdeploy.targets import byapp
from gitdeploy.targets.target import Here, Incoming, Outcome, Surroundings, Target
from tests.support.recorder import Recorder

OLD = App("o/shop", "r/shop", "shop")
NEW = replace(OLD, target="swarm")
IMAGE = Image("sha256:1", (), (), {}, (), healthcheck=False, size=1, created="")


class PlayedTarget:
    """A target that says what is asked of it.

    Attributes:
        release: what serves there, 0 for nothing.
        kept: what serves there again when it is brought back.
    """

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls
        self.release = self.kept = 0
        self.broken: dict[str, Exception] = {}

    def _called(self, what: str, app: App) -> None:
        assert app.target == self.name
        self.calls.append(f"{self.name} {what}")
        if what in self.broken:
            raise self.broken[what]

    @property
    def accessories(self) -> PlayedTarget:
        return self

    def let_go(self, app: App) -> None:
        self.calls.append(f"accessories are {app.target}'s alone")

    def serving(self, app: App) -> int:
        assert app.target == self.name
        return self.release

    def is_there(self, app: App) -> bool:
        assert app.target == self.name
        return bool(self.release or self.kept)

    def newest(self, app: str) -> int:
        return max(self.release, self.kept)

    def bring_live(self, incoming: Incoming) -> Outcome:
        self._called("brings live", incoming.release.app)
        self.release = incoming.release.id
        return Outcome(0.25, "theirs")

    def take_out(self, app: App) -> None:
        self._called("takes out", app)
        self.kept, self.release = self.release, 0

    def bring_back(self, app: App, output: object) -> int:
        self._called("brings back", app)
        self.release = self.release or self.kept
        return self.release

    def recover(self, app: App, output: object, release: int = 0) -> int:
        self._called(f"recovers {release}", app)
        return self.release

    def discard(self, app: App, output: object) -> None:
        self._called("discards", app)
        self.release = self.kept = 0


class Pair:
    """Both targets, under one roof; `manager`: whether the engine is one of a cluster."""

    def __init__(self) -> None:
        self.manager = True
        self.calls: list[str] = []
        self.output = Recorder()
        self.docker, self.swarm = PlayedTarget("docker", self.calls), PlayedTarget("swarm", self.calls)
        self._times = iter(range(100, 200, 7))
        unasked = cast(Any, None)
        self.target = byapp.TargetByApp(
            Surroundings(lambda: cast(Any, self), unasked, Here(), lambda: 0.0, lambda: float(next(self._times)))
        )

    def manages_cluster(self) -> bool:
        return self.manager

    def deploy(self, app: App, release: int = 5, published: Callable[[], object] | None = None) -> Outcome:
        say = published or (lambda: self.calls.append("published"))
        made = Release(release, app, str(release), "c", IMAGE.id)
        return self.target.bring_live(Incoming(made, IMAGE, {}, self.output, Event(), say))


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    pair = Pair()
    made: dict[TargetName, Callable[[Surroundings], Target]] = {
        "docker": lambda _: cast(Target, pair.docker),
        "swarm": lambda _: cast(Target, pair.swarm),
    }
    monkeypatch.setattr(byapp, "TARGETS", made)
    return pair


@pytest.mark.parametrize("app", [OLD, NEW])
def test_an_app_that_stays_is_its_targets_alone(pair: Pair, app: App) -> None:
    assert pair.deploy(app) == Outcome(0.25, "theirs")
    assert pair.calls == [f"{app.target} brings live"]


def test_a_move_publishes_first_and_discards_last(pair: Pair) -> None:
    pair.docker.release = 4
    outcome = pair.deploy(NEW)
    assert pair.calls == [
        "published",
        "docker takes out",
        "swarm brings live",
        "docker discards",
        "accessories are swarm's alone",
    ]
    assert outcome == Outcome(7.0, "moved from docker")
    assert pair.output.lines == ["o/shop moves from docker to swarm: an outage until it serves there"]


def test_a_move_back(pair: Pair) -> None:
    pair.swarm.release = 4
    assert pair.deploy(OLD).note == "moved from swarm"
    assert pair.calls == [
        "published",
        "swarm takes out",
        "docker brings live",
        "swarm discards",
        "accessories are docker's alone",
    ]


def test_what_does_not_serve_makes_room_too(pair: Pair) -> None:
    pair.docker.kept = 4
    assert pair.deploy(NEW) == Outcome(None, "moved from docker")
    assert pair.calls == [
        "published",
        "docker takes out",
        "swarm brings live",
        "docker discards",
        "accessories are swarm's alone",
    ]
    assert pair.output.lines == ["o/shop moves from docker to swarm: what is on the other one does not serve"]


def test_what_cannot_be_discarded_does_not_undo_a_move(pair: Pair) -> None:
    pair.docker.release = 4
    pair.docker.broken["discards"] = EngineError("busy", 500)
    assert pair.deploy(NEW).outage == 7.0
    assert pair.output.lines[-1] == "the old release could not be removed yet: busy"
    pair.docker.broken = {}
    pair.deploy(NEW)
    assert not pair.docker.is_there(OLD)


def test_what_is_not_in_the_registry_does_not_move(pair: Pair) -> None:
    pair.docker.release = 4

    def denied() -> None:
        raise StageFailed("the registry refuses")

    with pytest.raises(StageFailed, match="refuses"):
        pair.deploy(NEW, published=denied)
    assert pair.calls == []
    assert pair.docker.release == 4


@pytest.mark.parametrize("where", ["docker takes out", "swarm brings live"])
def test_a_move_that_fails_brings_the_old_one_back(pair: Pair, where: str) -> None:
    pair.docker.release = 4
    name, _, what = where.partition(" ")
    getattr(pair, name).broken[what] = StageFailed("it broke")
    with pytest.raises(StageFailed, match="it broke"):
        pair.deploy(NEW)
    assert pair.calls[-3:] == [where, "docker brings back", "swarm discards"]
    assert pair.docker.release == 4


def test_a_way_back_that_fails_is_told(pair: Pair) -> None:
    pair.docker.release = 4
    pair.swarm.broken["brings live"] = StageFailed("it broke")
    pair.docker.broken["brings back"] = EngineError("no space", 500)
    with pytest.raises(StageFailed, match="it broke") as caught:
        pair.deploy(NEW)
    assert "bringing it back on docker: no space" in caught.value.hint
    assert "docker discards" not in pair.calls


def test_an_engine_that_is_gone_leaves_the_rest_to_recovery(pair: Pair) -> None:
    pair.docker.release = 4
    pair.swarm.broken["brings live"] = EngineGone("gone")
    pair.docker.broken["brings back"] = EngineGone("gone")
    with pytest.raises(EngineGone):
        pair.deploy(NEW)
    pair.docker.broken = {}
    pair.calls.clear()
    assert pair.target.recover(NEW, pair.output, 5) == 4
    assert pair.calls == ["swarm recovers 5", "docker brings back"]


@pytest.mark.parametrize(
    ("there", "kept", "here", "calls", "serves"),
    [
        (0, 0, 5, [], 5),
        (0, 0, 0, [], 0),
        (0, 4, 5, ["docker discards"], 5),  # cut off after the switch
        (4, 0, 5, ["docker discards"], 5),
        (0, 4, 0, ["docker brings back"], 4),  # cut off before it
        (4, 0, 0, ["docker brings back"], 4),
    ],
)
def test_recovery_leaves_one_of_the_two(pair: Pair, there: int, kept: int, here: int, calls: list[str], serves: int) -> None:
    pair.docker.release, pair.docker.kept, pair.swarm.release = there, kept, here
    assert pair.target.recover(NEW, pair.output) == serves
    alone = ["accessories are swarm's alone"] if here else []
    assert pair.calls == ["swarm recovers 0", *calls, *alone]
    assert (pair.docker.release, pair.swarm.release) == ((0, here) if here else (serves, 0))


def test_without_a_cluster_the_other_target_is_not_even_made(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.manager = False
    monkeypatch.delitem(byapp.TARGETS, "swarm")  # type: ignore[arg-type]
    monkeypatch.setitem(byapp.TARGETS, "swarm", pytest.fail)  # type: ignore[arg-type]
    assert pair.deploy(OLD) == Outcome(0.25, "theirs")
    assert pair.target.recover(OLD, pair.output) == 5
    assert pair.target.newest("o/shop") == 5


def test_numbers_go_on_above_both(pair: Pair) -> None:
    pair.docker.release, pair.swarm.kept = 4, 7
    assert pair.target.newest("o/shop") == 7
