"""What every target does, whatever it runs releases on: each kind of target runs these tests on the real thing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from threading import Event

import pytest

from gitdeploy.config.model import App
from gitdeploy.engine.types import Output
from gitdeploy.errors import Cancelled, GitdeployError, StageFailed
from gitdeploy.targets.target import Outcome, Target

STRATEGIES = ("recreate", "rolling", "blue-green", "canary")


class Place(ABC):
    """An app on a target of the tests'.

    Attributes:
        app: its configuration.
        output: what was said so far.
    """

    app: App
    target: Target
    output: Output

    @abstractmethod
    def deploy(
        self, version: str, release: int, *, cancel: Event | None = None, healthy: bool = True, reuse: int = 0
    ) -> Outcome:
        """Bring a release live that answers its version, or one that never gets healthy."""

    @abstractmethod
    def answer(self) -> str:
        """Return the version that answers a request, "" if nothing does."""

    @abstractmethod
    def image(self) -> str:
        """Return the id of the image that the releases are made of."""

    @abstractmethod
    def occupy(self) -> str:
        """Let somebody else run the app's image where the app's name is; return what it is called."""

    @abstractmethod
    def recover(self) -> int: ...

    @abstractmethod
    def settle(self) -> float: ...


each_strategy = pytest.mark.parametrize("strategy", STRATEGIES, indirect=True)


class TargetContract:
    """Give these tests a fixture `place`, which is empty."""

    @pytest.fixture(autouse=True)
    def strategy(self, place: Place, request: pytest.FixtureRequest) -> None:
        """What the app goes live by."""
        strategy = getattr(request, "param", "recreate")
        place.app = replace(place.app, strategy=strategy, health=replace(place.app.health, start_period=3.0))  # type: ignore[arg-type]

    def test_nothing_is_there_at_first(self, place: Place) -> None:
        assert (place.target.serving(place.app), place.target.newest(place.app.name), place.answer()) == (0, 0, "")
        assert place.target.condition(place.app) != ""
        assert place.settle() == 0.0
        assert place.recover() == 0

    @each_strategy
    def test_a_release_goes_live_and_the_next_one_takes_its_place(self, place: Place) -> None:
        assert place.deploy("1", release=4).outage is None
        assert (place.target.serving(place.app), place.answer()) == (4, "1")
        assert place.target.condition(place.app) == ""
        again = place.deploy("2", release=6)
        assert again.outage is not None
        assert (place.target.serving(place.app), place.target.newest(place.app.name), place.answer()) == (6, 6, "2")

    @each_strategy
    def test_one_that_never_gets_healthy_leaves_the_old_one_serving(self, place: Place) -> None:
        place.deploy("1", release=1)
        with pytest.raises(StageFailed) as caught:
            place.deploy("2", release=2, healthy=False)
        assert caught.value.reason
        assert (place.target.serving(place.app), place.answer()) == (1, "1")

    def test_a_first_one_that_never_gets_healthy_leaves_nothing(self, place: Place) -> None:
        with pytest.raises(StageFailed):
            place.deploy("1", release=1, healthy=False)
        assert (place.target.serving(place.app), place.target.newest(place.app.name), place.answer()) == (0, 0, "")

    @each_strategy
    def test_a_cancelled_one_leaves_the_old_one_serving(self, place: Place) -> None:
        place.deploy("1", release=1)
        cancel = Event()
        cancel.set()
        with pytest.raises(Cancelled):
            place.deploy("2", release=2, cancel=cancel)
        assert (place.target.serving(place.app), place.answer()) == (1, "1")

    @each_strategy
    def test_a_rollback_is_a_release_of_its_own(self, place: Place) -> None:
        place.deploy("1", release=1)
        place.deploy("2", release=2)
        place.deploy("1", release=3, reuse=1)
        assert (place.target.serving(place.app) in (1, 3), place.answer()) == (True, "1")

    @each_strategy
    def test_what_is_taken_out_of_service_stays_out_and_comes_back(self, place: Place) -> None:
        place.deploy("1", release=1)
        for _ in range(2):
            place.target.take_out(place.app)
            assert place.answer() == ""
            assert place.target.condition(place.app) != ""
        for _ in range(2):
            assert place.target.bring_back(place.app, place.output) == 1
            assert (place.answer(), place.target.condition(place.app)) == ("1", "")

    @each_strategy
    def test_what_should_run_is_kept_up(self, place: Place) -> None:
        place.deploy("1", release=1)
        place.target.take_out(place.app)  # as if it had been stopped in another way: nobody says so here
        place.target.keep_up(replace(place.app, restart="no"), place.output)
        assert place.answer() == ""
        for _ in range(2):
            place.target.keep_up(replace(place.app, restart="always"), place.output)
            assert (place.answer(), place.target.serving(place.app)) == ("1", 1)

    def test_recovery_leaves_what_is_in_order(self, place: Place) -> None:
        place.deploy("1", release=1)
        assert place.recover() == 1
        assert place.answer() == "1"

    def test_it_knows_which_images_are_in_use_and_whose(self, place: Place) -> None:
        place.deploy("1", release=1)
        assert place.image() in place.target.images_in_use()
        assert not place.target.used_by_others(place.app, place.image())
        assert place.target.used_by_others(replace(place.app, name="devops/other", container="other"), place.image())

    def test_it_takes_nobodys_place_unasked(self, place: Place) -> None:
        stranger = place.occupy()
        app = replace(place.app, adopt=False)
        with pytest.raises(GitdeployError, match=stranger):
            place.target.require_fit(app, app)

    def test_its_patience_outlasts_all_its_waits(self, place: Place) -> None:
        health = place.app.health
        slow = replace(place.app, health=replace(health, start_period=health.start_period + 1000))
        assert place.target.patience(slow) > place.target.patience(place.app) + 1000 > 1000
