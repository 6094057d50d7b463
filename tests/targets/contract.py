"""What every target does, whatever it runs releases on: each kind of target runs these tests on the real thing."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from gitdeploy.config.attachments import Volume
from gitdeploy.config.jobs import Accessory, Task
from gitdeploy.config.model import App
from gitdeploy.config.runoptions import Run
from gitdeploy.engine.types import Attended, Image, Output
from gitdeploy.errors import Cancelled, GitdeployError, StageFailed
from gitdeploy.releases.release import Release
from gitdeploy.targets.accessory import WantedAccessory
from gitdeploy.targets.errand import Errand, TaskEnd
from gitdeploy.targets.target import Outcome, Target
from tests.support.net import wait_until
from tests.support.prober import Prober

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

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is answered."""

    @abstractmethod
    def image(self) -> str:
        """Return the id of the image that the releases are made of."""

    @abstractmethod
    def occupy(self) -> str:
        """Let somebody else run the app's image where the app's name is; return what it is called."""

    @abstractmethod
    def signal_task(self) -> None:
        """Send SIGUSR1 to the task that runs."""

    @abstractmethod
    def said(self) -> str:
        """Return what was said so far."""

    def errand(self, script: str, release: int = 7, *, cancel: Event | None = None, **more: Any) -> Errand:
        """A task of a release that was not begun yet: a shell script in the app's image."""
        task = Task(run=Run(command=("sh", "-c", script)), timeout=more.pop("timeout", 60.0), retry=more.pop("retry", False))
        made: dict[str, Any] = {"begun": False, "image": self.image(), "leave": lambda: False, **more}
        return Errand(self.app, release, "migrate", task, self.output, cancel or Event(), **made)

    def left_running(self, script: str, **more: Any) -> Errand:
        """Begin a task that says "begun", and leave it; return the errand of who comes after that."""
        cancel = Event()
        errand = self.errand(script, cancel=cancel, **{"leave": lambda: True, **more})
        thread = threading.Thread(target=lambda: wait_until(lambda: "begun" in self.said(), 30, "it") or cancel.set())
        thread.start()
        with pytest.raises(Cancelled):
            self.target.run_task(errand)
        thread.join()
        return replace(errand, cancel=Event(), begun=True)

    def wanted(self, edition: str, *, cancel: Event | None = None) -> WantedAccessory:
        """The app's accessory as its table says from now on: it keeps and says its editions, and serves but for "broken"."""
        image = self.found_image()
        script = "cd /data; echo $EDITION >>log; cat log; test $EDITION != broken || exit 3; exec python3 /server.py >/dev/null"
        table = Accessory(
            image=image.tags[0],
            env={"EDITION": edition, "PORTS": "80"},
            volumes=(Volume(f"{self.app.container}-data", "/data"),),
            stop_timeout=1.0,
            run=Run(command=("sh", "-c", script)),
            health=replace(self.app.health, interval=0.1),
        )
        self.app = replace(self.app, accessories={"db": table})
        return WantedAccessory(self.app, "db", table.env, lambda: image, self.output, cancel or Event())

    def words(self, lines: int = 50) -> list[str]:
        """What the accessory has said."""
        return list(self.target.accessories.logs(self.app, "db", lines))

    def wrong(self) -> str:
        """What is wrong with the accessory, which there is one of."""
        (standing,) = self.target.accessories.look(self.app)
        assert standing.name == "db"
        return standing.wrong

    @abstractmethod
    def found_image(self) -> Image:
        """Return that image, as what makes images knows it."""

    @abstractmethod
    def die(self, wanted: WantedAccessory, *, proved: bool) -> None:
        """Replace the accessory in a process that dies: before the new one starts, or when it has proved itself."""

    @abstractmethod
    def recover(self) -> int: ...

    @abstractmethod
    def settle(self) -> float: ...


overlapping_or_not = pytest.mark.parametrize("strategy", ("recreate", "blue-green"), indirect=True)
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

    def test_one_with_other_settings_of_its_router_is_asked_before_the_switch(self, place: Place) -> None:
        place.app = replace(place.app, strategy="blue-green")
        place.deploy("1", release=1)
        place.app = replace(place.app, router=replace(place.app.router, drain_timeout=4.0))
        with Prober(place.url, pause=0.01) as prober:
            with pytest.raises(StageFailed):
                place.deploy("2", release=2, healthy=False)
            place.deploy("3", release=3)
        assert (prober.findings.errors, set(prober.findings.bodies)) == ({}, {"1", "3"})
        assert place.answer() == "3"

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

    @overlapping_or_not
    def test_a_command_beside_what_serves_outlives_a_deployment(self, place: Place) -> None:
        place.deploy("1", release=1)
        release = Release(1, place.app, "1", "", place.image())
        waits = ["sh", "-c", "echo $WORD; read line; exit 7"]
        with place.target.run_beside(release, {"WORD": "begun"}, waits, Attended(interactive=True)) as command:
            assert command.receive() == [(1, b"begun\n")]
            assert (place.target.serving(place.app), place.target.condition(place.app)) == (1, "")
            place.deploy("2", release=2)
            assert place.recover() == 2
            place.target.sweep(place.app, place.output)
            place.target.take_out(place.app)
            place.target.bring_back(place.app, place.output)
            assert (place.target.serving(place.app), place.target.condition(place.app), place.answer()) == (2, "", "2")
            assert command.exit_code(0.0) is None
            command.send(b"go on\n")
            assert command.exit_code(20.0) == 7

    def test_a_command_keeps_its_image_and_its_app_has_it_alone(self, place: Place) -> None:
        release = Release(1, place.app, "1", "", place.image())
        with place.target.run_beside(release, {}, ["sleep", "600"], Attended()) as command:
            assert place.image() in place.target.images_in_use()
            assert not place.target.used_by_others(place.app, place.image())
            assert place.target.serving(place.app) == 0
            assert place.recover() == 0
            assert command.exit_code(0.0) is None
        assert place.image() not in place.target.images_in_use()

    @overlapping_or_not
    def test_a_command_within_what_serves(self, place: Place) -> None:
        place.deploy("1", release=1)
        with place.target.run_inside(place.app, ["sh", "-c", "echo $VERSION; exit 3"], Attended()) as command:
            assert command.receive() == [(1, b"1\n")]
            assert command.receive() is None
            assert command.exit_code(20.0) == 3
        place.target.take_out(place.app)
        with pytest.raises(StageFailed, match=r"no container of .* runs"):
            place.target.run_inside(place.app, ["true"], Attended())

    def test_a_task_runs_once_with_the_environment_and_its_output_is_told(self, place: Place) -> None:
        begun = []
        script = "echo $GREETING; echo \"two  words\" >&2; printf 'no newline'; exit 3"
        errand = place.errand(script, env={"GREETING": "hello"}, begin=lambda: begun.append(1))
        end = place.target.run_task(errand)
        assert end is not None
        assert (end.code, end.problem, sorted(end.tail)) == (3, "", ["hello", "no newline", "two  words"])
        assert all(f"    {line}" in place.said() for line in end.tail)
        assert begun == [1]
        place.target.drop_tasks(place.app, ())
        assert place.target.newest(place.app.name) == 0

    def test_a_task_whose_end_is_not_on_record_is_not_run_again(self, place: Place) -> None:
        errand = place.errand("echo once; exit 4")
        place.target.run_task(errand)
        place.recover()
        place.target.drop_tasks(place.app, [(7, "migrate")])
        again = place.target.run_task(replace(errand, begun=True, begin=lambda: pytest.fail("it ran again")))
        assert again is not None
        assert (again.code, again.tail) == (4, ("once",))
        place.target.drop_tasks(place.app, ())
        assert place.target.run_task(replace(errand, begun=True)) is None
        assert place.target.run_task(replace(errand, begun=True, image="")) is None
        retried = place.target.run_task(replace(errand, begun=True, task=replace(errand.task, retry=True)))
        assert retried is not None
        assert retried.code == 4

    def test_a_task_that_was_left_running_is_followed_to_its_end(self, place: Place) -> None:
        later = place.left_running("echo begun; trap 'echo ended; exit 5' USR1; while :; do sleep 0.1; done")
        place.recover()
        stopping = threading.Timer(0.2, place.signal_task)
        stopping.start()
        end = place.target.run_task(replace(later, begin=lambda: pytest.fail("it ran again")))
        stopping.join()
        assert end == TaskEnd(5, tail=("begun", "ended"))

    def test_a_task_that_is_cancelled_is_stopped(self, place: Place) -> None:
        script = "trap 'echo leaving; exit 0' TERM; echo begun; while :; do sleep 0.1; done"
        stopped = place.left_running(script, leave=lambda: False)
        assert "leaving" in place.said()
        assert place.target.run_task(replace(stopped, image="")) is not None
        cancel = Event()
        cancel.set()
        with pytest.raises(Cancelled):
            place.target.run_task(place.errand("", release=8, cancel=cancel, begin=lambda: pytest.fail("it was started")))

    def test_a_task_that_takes_too_long_is_stopped(self, place: Place) -> None:
        errand = place.errand("trap '' TERM; sleep 100 & wait; wait", timeout=1.0)
        with pytest.raises(StageFailed, match=r"not done within 1s \(tasks\.migrate\.timeout\), and was stopped"):
            place.target.run_task(errand)
        ended = place.target.run_task(replace(errand, begun=True, image=""))
        assert ended is not None
        assert ended.code == 137

    def test_a_task_is_no_release(self, place: Place) -> None:
        place.deploy("1", release=1)
        place.left_running("echo begun; sleep 60")
        assert (place.target.serving(place.app), place.target.condition(place.app), place.answer()) == (1, "", "1")
        assert place.recover() == 1
        assert (place.target.newest(place.app.name), place.answer()) == (7, "1")
        place.target.drop_tasks(place.app, ())

    def test_a_scheduled_run_is_left_alone_until_it_is_dropped(self, place: Place) -> None:
        errand = replace(place.errand("echo once; exit 4"), run=12)
        place.target.run_task(errand)
        place.recover()
        place.target.drop_tasks(place.app, ())
        place.target.drop_runs(place.app, lambda: [12])
        again = place.target.run_task(replace(errand, begun=True, begin=lambda: pytest.fail("it ran again")))
        assert again is not None
        assert (again.code, again.tail) == (4, ("once",))
        place.target.drop_runs(place.app, lambda: [13])
        assert place.target.run_task(replace(errand, begun=True)) is None

    def test_a_program_that_there_is_not(self, place: Place) -> None:
        errand = place.errand("")
        end = place.target.run_task(replace(errand, task=replace(errand.task, run=Run(command=("no-such-program", "$X", "'")))))
        assert end is not None
        assert end.code == 127
        assert "no-such-program" in end.problem
        assert "is that program in the image" in end.hint

    def test_an_accessory_is_made_once_and_keeps_its_data_when_its_table_changes(self, place: Place) -> None:
        bring_up = place.target.accessories.bring_up
        assert [bring_up(place.wanted("first")), bring_up(place.wanted("first"))] == ["made", ""]
        assert (place.words(), place.wrong()) == (["first"], "")
        assert bring_up(place.wanted("second")) == "replaced"
        assert (place.words(), place.wrong()) == (["first", "second"], "")
        with pytest.raises(StageFailed):
            bring_up(place.wanted("broken"))
        assert (place.words(1), place.wrong()) == (["second"], "")
        cancel = Event()
        cancel.set()
        with pytest.raises(Cancelled):
            bring_up(place.wanted("third", cancel=cancel))
        assert (place.words(1), place.wrong()) == (["second"], "")

    @pytest.mark.parametrize("proved", [False, True])
    def test_of_an_accessory_that_was_being_replaced_one_stays(self, place: Place, proved: bool) -> None:
        accessories = place.target.accessories
        accessories.bring_up(place.wanted("first"))
        wanted = place.wanted("second")
        place.die(wanted, proved=proved)
        assert place.wrong() != ""
        for _ in range(2):
            accessories.recover(place.app, place.output)
            assert place.wrong() == ""
        wait_until(lambda: place.words(1) == ["second" if proved else "first"], 20, "what it says")
        assert accessories.bring_up(wanted) == ("" if proved else "replaced")
        assert place.words(1) == ["second"]

    def test_an_accessory_that_is_stopped_or_removed(self, place: Place) -> None:
        accessories = place.target.accessories
        with pytest.raises(StageFailed):
            accessories.stop(replace(place.app, accessories={}), "db", place.output)
        wanted = place.wanted("first")
        accessories.bring_up(wanted)
        for _ in range(2):
            accessories.stop(place.app, "db", place.output)
            accessories.keep_up(place.app, place.output)
            accessories.recover(place.app, place.output)
            assert place.wrong() != ""
            with pytest.raises(StageFailed):
                accessories.bring_up(wanted)
        accessories.start(place.app, "db", place.output, Event())
        assert (place.words(), place.wrong()) == (["first"] * 3, "")
        kept = accessories.remove(place.app, "db")
        assert kept == (f"{place.app.container}-data",)
        assert place.wrong() != ""
        for gone in (place.words, lambda: accessories.remove(place.app, "db")):
            with pytest.raises(StageFailed):
                gone()
        assert accessories.look(replace(place.app, accessories={})) == ()
        assert accessories.bring_up(wanted) == "made"
        assert place.words() == ["first"] * 3

    def test_it_takes_nobodys_place_unasked(self, place: Place) -> None:
        stranger = place.occupy()
        app = replace(place.app, adopt=False)
        with pytest.raises(GitdeployError, match=stranger):
            place.target.require_fit(app, app)

    def test_its_patience_outlasts_all_its_waits(self, place: Place) -> None:
        health = place.app.health
        slow = replace(place.app, health=replace(health, start_period=health.start_period + 1000))
        assert place.target.patience(slow) > place.target.patience(place.app) + 1000 > 1000
