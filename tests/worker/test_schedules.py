"""What a tick starts: what is due since the last look, once, while the app is in service."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from gitdeploy.cli import remove as taking_out
from gitdeploy.cli import schedule as verb
from gitdeploy.cli.installation import make_site
from gitdeploy.config import snapshot
from gitdeploy.config.jobs import Schedule
from gitdeploy.config.model import App
from gitdeploy.doctor.ticks import examine_ticks
from gitdeploy.engine.types import EngineInfo
from gitdeploy.errors import UnfitError
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.intake.spool import Spool
from gitdeploy.releases import schedulerecords
from gitdeploy.releases.state import State
from gitdeploy.targets.errand import Errand, TaskEnd
from gitdeploy.worker import scheduledrun, schedules
from gitdeploy.worker.edgetick import look_at_edge
from gitdeploy.worker.schedules import MARKER, OF_BOX, TICKS, each_minute, mark, run_lock, tick, why_not
from gitdeploy.worker.site import Site
from tests.support import gogs
from tests.support.installed import install

NOON = 1_790_000_000.0 // 86400 * 86400 + 43200
APP = "o/shop"


@dataclass
class Clocked:
    """An installation whose clock the test sets.

    Attributes:
        started: numbers of the runs that ticks have started a process for.
    """

    site: Site
    state: State
    now: float = NOON
    started: list[int] = field(default_factory=list)

    def live(self, version: str, domains: tuple[str, ...] = (), **schedules: Schedule) -> int:
        """Brings a release live now."""
        app = App(APP, "o/shop", "shop", schedule=schedules, domains=domains)
        number = self.state.enqueue(APP, f"{version}-{self.now}", trigger="push", created=self.now)
        self.state.end(number, "succeeded", finished=self.now, version=version, config=snapshot.dump(app))
        return number

    def tick(self, later: float = 60.0) -> list[tuple[str, float, str]]:
        """Lets so many seconds pass and looks; returns name, seconds past noon and status of what is new."""
        known = {run.id for run in self.state.runs(APP, 1000)}
        self.now += later
        tick(replace(self.site, now=lambda: self.now), self.state, self.started.append)
        new = [run for run in self.state.runs(APP, 1000) if run.id not in known]
        return [(run.name, run.due - NOON, run.status) for run in reversed(new)]

    def end_all(self) -> None:
        for run in self.state.open_runs():
            self.state.end_run(run.id, "succeeded", self.now, 0)


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[Clocked]:
    installed = install(gogs.create(tmp_path / "data"), {})
    before = os.umask(0o077)
    site = make_site({"GITDEPLOY_HOME": str(installed.home)})
    with site.open_state() as state:
        yield Clocked(site, state)
    os.umask(before)


def every(minutes: int, *, overlap: bool = False) -> Schedule:
    return Schedule(cron=f"*/{minutes} * * * *", overlap=overlap)


def test_each_time_is_noted_once(clocked: Clocked) -> None:
    clocked.live("1", often=every(1), seldom=every(5))
    assert clocked.tick(30) == []
    assert clocked.tick(30) == [("often", 60, "queued")]
    clocked.end_all()
    assert clocked.tick(1) == []
    assert clocked.tick(239) == [("often", 300, "queued"), ("seldom", 300, "queued")]
    clocked.end_all()
    clocked.state.set_looked(NOON)  # whatever becomes of that
    assert clocked.tick(1) == []
    assert clocked.started == [1, 2, 3]


def test_what_was_missed_is_made_up_for_by_one_run_within_minutes(clocked: Clocked) -> None:
    clocked.live("1", nightly=Schedule(cron="10 12 * * *"), often=every(1))
    clocked.tick()
    clocked.end_all()
    assert clocked.tick(13 * 60) == [("nightly", 600, "queued"), ("often", 840, "queued")]
    clocked.end_all()
    assert clocked.tick(86400 + 900) == [("often", 86400 + 1740, "queued")]


def test_a_clock_that_was_set_back_repeats_nothing(clocked: Clocked) -> None:
    clocked.live("1", often=every(1))
    assert clocked.tick() == [("often", 60, "queued")]
    clocked.end_all()
    clocked.tick()
    clocked.end_all()
    assert clocked.tick(-60) == []
    assert clocked.tick() == []
    assert clocked.tick() == [("often", 180, "queued")]


def test_a_tree_with_many_schedules_gets_no_more_than_its_share(clocked: Clocked) -> None:
    clocked.live("1", **{f"s{number}": every(1, overlap=True) for number in range(20)})
    assert [status for _, _, status in clocked.tick()] == ["queued"] * 10 + ["skipped"] * 10
    assert {run.error for run in clocked.state.runs(APP, 100) if run.status == "skipped"} == {f"10 runs of {APP} are not over"}
    clocked.live("2", **{f"t{number}": every(1) for number in range(20)})
    assert {status for _, _, status in clocked.tick()} == {"skipped"}


def test_what_is_ended_on_record_does_not_begin(clocked: Clocked) -> None:
    number = clocked.state.add_run(APP, "job", NOON, "command")
    assert clocked.state.end_run(number, "failed", NOON, error="ended by gitdeploy remove")
    assert not clocked.state.begin_run(number, NOON)
    assert [run.status for run in clocked.state.runs(APP)] == ["failed"]


def test_looking_whether_a_run_is_looked_after_leaves_no_file(clocked: Clocked) -> None:
    with clocked.site.spool.lock(TICKS):  # which makes the directory
        assert not clocked.site.spool.locked(run_lock(7))
    assert not (clocked.site.spool.locks / f"{run_lock(7)}.lock").exists()
    with clocked.site.spool.lock(run_lock(7)):
        assert clocked.site.spool.locked(run_lock(7))


def test_one_that_is_not_over_lets_the_next_be_skipped(clocked: Clocked) -> None:
    clocked.live("1", often=every(1), both=every(1, overlap=True))
    clocked.tick()
    assert clocked.tick() == [("both", 120, "queued"), ("often", 120, "skipped")]
    skipped = next(run for run in clocked.state.runs(APP) if run.status == "skipped")
    assert (skipped.error, skipped.ended) == ("run 2 is not over", NOON + 120)
    for _ in range(3):
        assert ("both", clocked.now - NOON + 60, "queued") in clocked.tick()
    assert ("both", clocked.now - NOON + 60, "skipped") in clocked.tick()


def test_schedules_are_those_of_what_is_live(clocked: Clocked) -> None:
    first = clocked.live("1", old=every(1))
    clocked.live("2", new=every(1))
    assert clocked.tick() == [("new", 60, "queued")]
    clocked.live("1", old=every(1))
    assert clocked.tick() == [("old", 120, "queued")]
    clocked.end_all()
    clocked.state.set_stopped(APP, clocked.now)
    assert clocked.tick() == []
    clocked.state.set_stopped(APP, None)
    assert clocked.tick() == [("old", 240, "queued")]
    clocked.end_all()
    clocked.state.unschedule(APP, first + 2)
    assert clocked.tick() == []
    clocked.live("3", old=every(1))
    assert clocked.tick() == [("old", 360, "queued")]


def test_a_run_that_somebody_looks_after_is_left_to_him(clocked: Clocked) -> None:
    clocked.live("1", often=every(1), both=every(1))
    clocked.tick()
    clocked.started.clear()
    clocked.state.begin_run(1, clocked.now)
    with clocked.site.spool.lock(run_lock(1)):
        clocked.tick(1)
        assert clocked.started == [2]
    clocked.tick(1)
    assert clocked.started == [2, 1, 2]
    clocked.tick(601)  # no engine all the time: what has not begun has failed, what has begun is looked for
    assert [run.id for run in clocked.state.open_runs()] == [1]
    failed = clocked.state.run(2)
    assert failed
    assert (failed.status, failed.error.split(";")[0]) == ("failed", "it could not begin within 10 minutes")


def test_the_marker_is_there_while_there_is_something_to_look_at(clocked: Clocked) -> None:
    marker = clocked.site.home / MARKER
    mark(clocked.site.home)
    number = clocked.state.enqueue(APP, "r", trigger="push", created=1.0)
    clocked.tick()
    assert marker.exists()  # what is being deployed may have schedules
    clocked.state.end(number, "failed")
    clocked.tick()
    assert not marker.exists()
    mark(clocked.site.home)
    clocked.live("1", often=every(1))
    clocked.tick()
    assert marker.exists()
    clocked.live("2")
    clocked.tick()
    assert marker.exists()  # a run is not over
    clocked.end_all()
    clocked.tick()
    assert not marker.exists()


def test_the_agent_looks_at_the_beginning_of_a_minute(clocked: Clocked) -> None:
    looks: list[float] = []

    def pause(seconds: float) -> None:
        if len(looks) == 2:
            raise KeyboardInterrupt
        clocked.now += seconds
        mark(clocked.site.home)

    def look() -> None:
        looks.append(clocked.now - NOON)
        raise RuntimeError("noted, and no reason to end")

    clocked.now = NOON + 20.5
    with pytest.raises(KeyboardInterrupt):
        each_minute(replace(clocked.site, now=lambda: clocked.now), look, pause)
    assert looks == [60, 120]


def test_the_doctor_finds_that_nobody_looks(clocked: Clocked) -> None:
    def found() -> list[tuple[str, str]]:
        return [(one.level, one.found) for one in examine_ticks(clocked.state, "direct", clocked.now)]

    assert found() == []
    clocked.live("1", often=every(1))
    assert found() == [("ok", "apps with schedules: 1")]
    clocked.now += 200
    ((level, text),) = found()
    assert (level, text) == ("error", "apps with schedules: 1, and nobody has ever looked what is due")
    clocked.tick()
    assert found() == [("ok", "apps with schedules: 1")]
    clocked.now += 200
    assert found()[0][0] == "error"


def test_domains_are_looked_after_each_minute_too(clocked: Clocked) -> None:
    clocked.live("1")
    clocked.tick()
    assert not (clocked.site.home / MARKER).exists()
    clocked.live("2", domains=("shop.example.com",))
    mark(clocked.site.home)
    clocked.tick()
    assert (clocked.site.home / MARKER).exists()
    assert [one.found for one in examine_ticks(clocked.state, "direct", clocked.now)] == ["apps with domains: 1"]
    assert [one.level for one in examine_ticks(clocked.state, "direct", clocked.now + 200)] == ["error"]


def test_the_git_servers_name_is_looked_after_where_no_app_has_one(clocked: Clocked) -> None:
    started: list[bool] = []

    def look() -> None:
        clocked.tick()
        look_at_edge(clocked.site, clocked.state, lambda: started.append(True))

    look()
    assert not (clocked.site.home / MARKER).exists()  # nobody has ever asked for an edge
    config = clocked.site.home / "config.toml"
    config.write_text('[edge]\ngit = "git.example.com"\ngit_address = "172.17.0.1:3000"\n')
    config.chmod(0o600)
    (clocked.site.home / "edge").mkdir()
    look()
    assert (clocked.site.home / MARKER).exists()
    assert started == [True]
    config.write_text("[edge]\ngit = 1\n")  # until that is put right, somebody has to look
    look()
    assert (clocked.site.home / MARKER).exists()
    assert started == [True]


def test_runs_go_with_their_app_and_old_ones_go(clocked: Clocked) -> None:
    clocked.live("1", often=every(1))
    for _ in range(105):
        clocked.tick()
        clocked.end_all()
    assert len(clocked.state.runs(APP, 1000)) <= 101
    clocked.state.rename(APP, "o/other")
    assert clocked.state.runs(APP) == []
    assert len(clocked.state.runs("o/other", 1000)) >= 100


def test_the_box_has_so_many_runs_at_the_same_time(clocked: Clocked) -> None:
    clocked.live("1", often=every(1))
    clocked.tick()
    (run,) = clocked.state.runs(APP)
    running = [replace(run, app=f"o/{number % 5}", name=str(number)) for number in range(OF_BOX)]
    assert why_not(APP, "job", every(1), running[1:]) == ""
    assert why_not(APP, "job", every(1), running) == "30 runs of all apps are not over"


def test_an_app_has_so_many_runs_on_record_whatever_they_are_called(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulerecords, "KEPT_OF_APP", 20)
    kept = clocked.state.add_run("o/other", "job", 1.0, "schedule", skipped="why")
    open_run = clocked.state.add_run(APP, "job", 1.0, "schedule")
    for number in range(30):
        clocked.state.add_run(APP, f"job{number}", 1.0, "schedule", skipped="why")
    assert [run.name for run in clocked.state.runs(APP, 100)] == [*(f"job{number}" for number in range(29, 9, -1)), "job"]
    assert clocked.state.run(open_run)
    assert clocked.state.run(kept)


class Runner:
    """A target that keeps what it was asked for; `meanwhile` comes to pass while it makes the container."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile, self.made, self.started = meanwhile, 0, 0
        self.kept: list[set[int]] = []

    def run_task(self, errand: Errand) -> TaskEnd:
        self.made += 1
        self.meanwhile()
        errand.begin()
        self.started += 1
        return TaskEnd(0)

    def drop_runs(self, _: App, keep: Callable[[], set[int]]) -> None:
        self.kept.append(keep())


@pytest.fixture
def look_after(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Runner]:
    """Looks after a run, on an engine elsewhere; returns what was asked of it."""
    engine = SimpleNamespace(info=lambda: EngineInfo("20", "1.41", "overlay2", True, "/nowhere"))
    monkeypatch.setattr(scheduledrun, "live_image", lambda *_: SimpleNamespace(id="sha256:1"))

    def looked(number: int, meanwhile: Callable[[], object] = lambda: None) -> Runner:
        runner = Runner(meanwhile)
        monkeypatch.setattr(Site, "target", lambda *_: runner)
        site = replace(clocked.site, now=lambda: clocked.now, connect=lambda: engine)
        scheduledrun.look_after(site, clocked.state, number, CancelFlag())
        return runner

    return looked


def outcome(clocked: Clocked, number: int) -> tuple[str, str]:
    run = clocked.state.run(number)
    assert run
    return run.status, run.error


def test_a_run_that_was_ended_meanwhile_does_not_begin(clocked: Clocked, look_after: Callable[..., Runner]) -> None:
    clocked.live("1", often=every(1))
    clocked.tick()
    runner = look_after(1, lambda: clocked.state.end_run(1, "failed", clocked.now, error="ended by gitdeploy remove"))
    assert (runner.made, runner.started, runner.kept) == (1, 0, [set()])  # and its container goes
    assert outcome(clocked, 1) == ("failed", "ended by gitdeploy remove")
    clocked.tick()
    assert look_after(2).started == 1
    assert outcome(clocked, 2) == ("succeeded", "")


def test_a_run_that_waits_does_not_begin_out_of_service(clocked: Clocked, look_after: Callable[..., Runner]) -> None:
    number = clocked.live("1", often=every(1))
    words = ("skipped", f"{APP} was taken out of service before it began")
    clocked.tick()
    clocked.state.set_stopped(APP, clocked.now)
    assert look_after(1).made == 0
    assert outcome(clocked, 1) == words
    clocked.state.set_stopped(APP, None)
    clocked.tick()
    runner = look_after(2, lambda: clocked.state.unschedule(APP, number))
    assert (runner.made, runner.started, runner.kept) == (1, 0, [set()])
    assert outcome(clocked, 2) == words


def test_a_run_waits_for_room_on_the_disk(clocked: Clocked, look_after: Callable[..., Runner]) -> None:
    with (clocked.site.home / "config.toml").open("a") as config:
        config.write('[server]\nmin_free = "900TB"\n')
    clocked.live("1", often=every(1))
    clocked.tick()
    assert look_after(1).made == 0
    assert outcome(clocked, 1) == ("queued", "")


def test_nobody_gives_up_a_run_that_has_just_been_taken_up(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    clocked.live("1", often=every(1))
    clocked.tick()
    with clocked.site.spool.lock(run_lock(1)):
        monkeypatch.setattr(Spool, "locked", lambda *_: False)  # as it was a moment ago
        clocked.tick(601)
    assert outcome(clocked, 1) == ("queued", "")
    clocked.tick(1)
    assert outcome(clocked, 1)[0] == "failed"


def test_a_person_and_a_tick_do_not_start_one_at_the_same_time(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "PATIENCE", 0.0)
    clocked.live("1", often=every(1))
    live = clocked.state.live(APP)
    app = snapshot.load(live.config) if live else None
    assert live
    assert app
    with clocked.site.spool.lock(TICKS), pytest.raises(UnfitError, match="somebody is looking"):
        verb._ask(clocked.site, clocked.state, live, app, "often")
    assert clocked.state.open_runs() == []
    verb._ask(clocked.site, clocked.state, live, app, "often")
    assert [run.name for run in clocked.state.open_runs()] == ["often"]


def test_remove_ends_the_runs_once_none_can_be_added(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    number = clocked.live("1", often=every(1))
    looks: list[tuple[int, bool]] = []

    def open_runs(state: State, app: str = "") -> list[object]:
        looks.append((state.unscheduled(app), clocked.site.spool.locked(TICKS)))
        return []

    monkeypatch.setattr(State, "open_runs", open_runs)
    taking_out._end_runs(clocked.site, APP)
    assert looks == [(number, True)]


def test_remove_takes_the_schedules_off_though_a_look_hangs(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking_out, "PATIENCE", 0.0)
    number = clocked.live("1", often=every(1))
    with clocked.site.spool.lock(TICKS):
        taking_out._end_runs(clocked.site, APP)
    assert clocked.state.unscheduled(APP) == number
