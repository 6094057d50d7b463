"""An app of several processes on a real engine: one release in all of them, or in none."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from threading import Barrier, Event
from types import MappingProxyType
from typing import Any

import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import AppProcess
from gitdeploy.config.runoptions import Run
from gitdeploy.config.scale import scaled
from gitdeploy.config.sections import Health
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import Cancelled, EngineError, GitdeployError, StageFailed
from gitdeploy.releases.release import process_of
from gitdeploy.targets.target import Strength
from tests.support.net import free_port as find_free_port
from tests.support.net import get, wait_until
from tests.support.prober import Prober
from tests.support.targets import target_on
from tests.targets.docker.rollout.interposed import Count, Interposed, KillAt, Killed
from tests.targets.docker.rollout.site import Site, answers

WORK = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
FAIL = ("sh", "-c", "sleep 0.1; exit 3")
QUICK = Health(min_uptime=0.3, start_period=5.0, interval=0.1)


def worker(**values: object) -> AppProcess:
    return replace(AppProcess(run=Run(command=WORK), stop_timeout=1.0, health=QUICK), **values)  # type: ignore[arg-type]


def run(site: Site, **processes: AppProcess) -> None:
    site.configure(processes=MappingProxyType(processes))


def found(site: Site) -> dict[str, list[str]]:
    """By process the releases of the containers that run, each as often as there are."""
    releases: dict[str, list[str]] = {}
    for container in site.containers():
        if container.running:
            releases.setdefault(process_of(container.labels), []).append(container.labels["gitdeploy.release"])
    return releases


def settled(site: Site, release: int, **replicas: int) -> None:
    """All runs as one release, and nothing else is there."""
    assert found(site) == {"web": [f"{release}"] * site.app.replicas} | {
        name: [f"{release}"] * count for name, count in replicas.items() if count
    }, site.output.text
    names = site.names()
    assert set(names.values()) == {"running"}
    assert {site.app.container, *(f"{site.app.container}-{name}" for name in replicas if replicas[name])} <= set(names)
    assert len(names) == len(site.containers()) + len(site.containers("router"))
    assert answers(site.url, f"{release}")


@pytest.mark.parametrize("strategy", ["rolling", "recreate"])
def test_all_processes_become_one_release(site: Site, strategy: str) -> None:
    mail = Publish("127.0.0.1", find_free_port(), 80)
    site.configure(strategy=strategy)
    serving = worker(publish=(mail,), run=Run(command=("python3", "-u", "/server.py")))
    run(site, worker=worker(replicas=2), queue=worker(overlap=False), mail=serving)
    url = f"http://127.0.0.1:{mail.host_port}/"
    site.deploy("1", release=1)
    settled(site, 1, worker=2, queue=1, mail=1)
    with Prober(url, pause=0.01) as prober:
        outcome = site.deploy("2", release=2)
    settled(site, 2, worker=2, queue=1, mail=1)
    assert answers(url, "2")
    assert not prober.findings.failed
    assert (outcome.outage == 0.0) is (strategy == "rolling")
    target = target_on(site.engine)
    assert target.condition(site.app) == ""
    assert target.processes(site.app) == (
        *(Strength("web", 1, 1), Strength("worker", 2, 2), Strength("queue", 1, 1), Strength("mail", 1, 1)),
    )
    assert "worker: starting" in site.output.text
    for container in site.containers("router"):
        assert container.name == f"{site.app.container}{'-mail' if process_of(container.labels) == 'mail' else ''}.router"


def test_the_image_speaks_of_web_alone(site: Site) -> None:
    """It EXPOSEs a port where a worker does not listen."""
    run(site, worker=worker())
    site.deploy("1", release=1)
    settled(site, 1, worker=1)


@pytest.mark.parametrize("strategy", ["blue-green", "recreate"])
@pytest.mark.parametrize("overlap", [True, False], ids=["before the switch", "behind it"])
def test_one_that_fails_leaves_all_as_they_were(site: Site, strategy: str, overlap: bool) -> None:
    site.configure(strategy=strategy)
    run(site, worker=worker(), bad=worker())
    site.deploy("1", release=1)
    before = {c.id for c in site.containers()}
    run(site, worker=worker(), bad=worker(run=Run(command=FAIL), overlap=overlap))
    with Prober(site.url, pause=0.01) as prober, pytest.raises(StageFailed) as caught:
        site.deploy("2", release=2)
    assert "process bad: the new container exited" in caught.value.reason
    settled(site, 1, worker=1, bad=1)
    assert {c.id for c in site.containers()} == before
    assert "undoing it failed" not in caught.value.hint
    assert set(prober.findings.bodies) <= {"1", "2"}
    if overlap or strategy == "blue-green":
        assert not prober.findings.failed
    if overlap:
        assert set(prober.findings.bodies) == {"1"}


@pytest.mark.parametrize(("strategy", "env"), [("recreate", {"EXIT": "4"}), ("blue-green", {"CRASH_AFTER": "3"})])
def test_web_that_breaks_behind_the_switch_takes_the_others_back(site: Site, strategy: str, env: dict[str, str]) -> None:
    site.configure(strategy=strategy)
    run(site, worker=worker(replicas=2), queue=worker(overlap=False))
    site.deploy("1", release=1)
    before = {c.id for c in site.containers()}
    with Prober(site.url, pause=0.01), pytest.raises(StageFailed, match="the new container exited"):
        site.deploy("2", release=2, **env)
    settled(site, 1, worker=2, queue=1)
    assert {c.id for c in site.containers()} == before
    assert "worker: stopping" not in site.output.text


def test_a_process_that_ends_by_itself_is_told_apart_from_one_that_breaks(site: Site) -> None:
    site.configure(restart="no")
    run(site, worker=worker(run=Run(command=("true",))))
    with pytest.raises(StageFailed) as caught:
        site.deploy("1", release=1)
    assert "process worker: the new container exited" in caught.value.reason
    assert "tasks" in caught.value.hint
    assert site.names() == {}


def test_a_command_that_the_image_lacks(site: Site) -> None:
    run(site, worker=worker(run=Run(command=("/no/such/program",))))
    with pytest.raises(GitdeployError) as caught:
        site.deploy("1", release=1)
    assert caught.value.reason.startswith("process worker: ")
    assert "/no/such/program" in caught.value.reason
    assert site.names() == {}


@pytest.mark.parametrize("fails", [False, True])
def test_a_process_that_is_no_more_goes_with_the_switch(site: Site, fails: bool) -> None:
    port = find_free_port()
    serving = worker(publish=(Publish("127.0.0.1", port, 80),), run=Run(command=("python3", "-u", "/server.py")))
    run(site, old=serving, worker=worker())
    site.deploy("1", release=1)
    run(site, worker=worker(run=Run(command=FAIL), overlap=False) if fails else worker())
    if fails:
        with pytest.raises(StageFailed):
            site.deploy("2", release=2)
        settled(site, 1, worker=1, old=1)
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/", "1"), 20, "the old process's server")
    else:
        site.deploy("2", release=2)
        settled(site, 2, worker=1)
        assert site.engine.networks({"gitdeploy.app": site.app.name}) == [f"gitdeploy.{site.app.container}"]


def test_a_cancel_while_they_wait_for_one_another(site: Site) -> None:
    run(site, worker=worker())
    site.deploy("1", release=1)
    run(site, worker=worker(health=replace(QUICK, min_uptime=60.0)))
    cancel = Event()

    def published() -> None:
        cancel.set()

    with pytest.raises(Cancelled):
        site.deploy("2", release=2, published=published, cancel=cancel)
    settled(site, 1, worker=1)


def test_out_of_service_and_back(site: Site) -> None:
    run(site, worker=worker(), queue=worker(overlap=False))
    site.deploy("1", release=1)
    engine, together = Interposed(site.engine), Barrier(len(site.names()), timeout=20)
    engine.before = lambda name, _: together.wait() if name == "stop" else None
    target_on(engine).take_out(site.app)
    assert set(site.names().values()) == {"exited"}
    target = target_on(site.engine)
    assert "worker" in target.condition(site.app)
    assert target.bring_back(site.app, site.output) == 1
    settled(site, 1, worker=1, queue=1)
    for container in site.containers():
        if process_of(container.labels) == "worker":
            site.engine.stop(container.id, 0)
    target.keep_up(site.app, site.output)
    settled(site, 1, worker=1, queue=1)


def test_what_cannot_be_stopped_keeps_nothing_else_running(site: Site) -> None:
    run(site, worker=worker(), queue=worker(overlap=False))
    site.deploy("1", release=1)
    broken = {c.id for c in site.containers() if process_of(c.labels) != "worker"}

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "stop" and arguments[0] in broken:
            raise EngineError("it does not end")

    engine = Interposed(site.engine)
    engine.before = before
    with pytest.raises(EngineError) as caught:
        target_on(engine).take_out(site.app)
    assert caught.value.reason == "process web: it does not end; process queue: it does not end"
    assert found(site) == {"web": ["1"], "queue": ["1"]}
    target_on(site.engine).take_out(site.app)
    assert found(site) == {}


def test_a_name_that_somebody_else_has_is_left_alone(site: Site) -> None:
    run(site, worker=worker())
    stranger = site.engine.create(ContainerSpec(f"{site.app.container}-worker", site.image))
    try:
        for adopt in (None, True):
            app = replace(site.app, adopt=adopt)
            with pytest.raises(StageFailed, match=r"-worker .* is not gitdeploy's to take: only web"):
                target_on(site.engine).require_fit(app, app)
    finally:
        site.engine.remove(stranger, force=True)


def resized(site: Site, process: str, replicas: int, **env: str) -> None:
    """Brings a process of what serves to that number."""
    site.app = scaled(site.app, {process: replicas})
    site.resize(process, **env)


@pytest.mark.parametrize("overlap", [True, False])
def test_more_and_fewer_of_a_worker_and_those_that_stay_are_not_touched(site: Site, overlap: bool) -> None:
    run(site, worker=worker(overlap=overlap))
    site.deploy("1", release=1)
    before = {c.id for c in site.containers()}
    resized(site, "worker", 3)
    settled(site, 1, worker=3)
    assert before < {c.id for c in site.containers()}
    resized(site, "worker", 1)
    assert {c.id for c in site.containers()} == before
    resized(site, "worker", 0)
    settled(site, 1, worker=0)
    assert target_on(site.engine).condition(site.app) == ""
    resized(site, "worker", 2)
    settled(site, 1, worker=2)


def test_more_and_fewer_behind_a_router_lose_no_request(site: Site) -> None:
    site.deploy("1", release=1)
    with Prober(site.url, pause=0.005) as prober:
        resized(site, "web", 3)
        settled(site, 1)
        resized(site, "web", 1)
        settled(site, 1)
    assert not prober.findings.failed


@pytest.mark.parametrize("overlap", [True, False])
def test_more_that_do_not_get_healthy_leave_those_that_run(site: Site, overlap: bool) -> None:
    run(site, worker=worker(overlap=overlap))
    site.deploy("1", release=1)
    before = site.app
    run(site, worker=worker(overlap=overlap, run=Run(command=FAIL)))
    with pytest.raises(StageFailed, match="exited"):
        resized(site, "worker", 2)
    site.app = before
    settled(site, 1, worker=1)


SAMPLE = 0.3, 0.6, 0.9
"""Parts of the way, without --exhaustive."""


def next_release(site: Site, number: int) -> Mapping[str, int]:
    """Configures it, every other one with another process; returns how many containers each process is to have."""
    extra = "old" if number % 2 else "new"
    run(site, worker=worker(replicas=2), queue=worker(overlap=False), **{extra: worker()})
    return {"worker": 2, "queue": 1, extra: 1}


def interrupted(site: Site, release: int, point: int) -> str:
    """Deploys, and is killed before that change; returns which that was, "" if there were fewer."""
    real, site.engine = site.engine, Interposed(site.engine)  # type: ignore[assignment]
    kill = KillAt(site.engine, point)  # type: ignore[arg-type]
    with contextlib.suppress(Killed, StageFailed):
        site.deploy(f"{release}", release=release)
    site.engine = real
    return kill.where


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "strategy", ["recreate", *(pytest.param(s, marks=pytest.mark.exhaustive) for s in ("blue-green", "rolling"))]
)
def test_killed_at_any_point_all_are_one_release(site: Site, strategy: str, pytestconfig: pytest.Config) -> None:
    site.configure(strategy=strategy)
    next_release(site, 1)
    site.deploy("1", release=1)
    real, site.engine = site.engine, Interposed(site.engine)  # type: ignore[assignment]
    changes = Count(site.engine)  # type: ignore[arg-type]
    wanted = next_release(site, 2)
    site.deploy("2", release=2)
    site.engine = real
    live, app, points = 2, site.app, range(changes.changes - 1)
    for release, point in enumerate(
        points if pytestconfig.getoption("--exhaustive") else [int(len(points) * s) for s in SAMPLE], 3
    ):
        following = next_release(site, live + 1)
        where = interrupted(site, release, point)
        assert where
        serves = target_on(real).recover(site.app, site.output, release)
        assert serves in (live, release), where
        if serves == release:
            wanted, app = following, site.app
        live, site.app = serves, app
        settled(site, live, **wanted)
        assert target_on(real).condition(app) == "", where


def test_what_had_been_stopped_gets_requests_again_when_it_answers_them(site: Site) -> None:
    """Killed when all processes had switched and none had a name yet: the old release, stopped by then, is to serve again."""
    site.configure(strategy="rolling")
    run(site, worker=worker())
    site.deploy("1", release=1, START_DELAY="0.5")
    real, interposed = site.engine, Interposed(site.engine)
    dead = Event()

    def die(name: str, arguments: tuple[object, ...]) -> None:
        if dead.is_set() or name == "rename":
            dead.set()
            raise Killed

    interposed.before = die
    site.engine = interposed  # type: ignore[assignment]
    with Prober(site.url, pause=0.01) as prober:
        with contextlib.suppress(Killed):
            site.deploy("2", release=2)
        site.engine = real
        assert dead.is_set()
        assert target_on(real).recover(site.app, site.output, 2) == 1
        time.sleep(0.2)
    assert (prober.findings.errors, get(site.url)) == ({}, "1")
    settled(site, 1, worker=1)


def test_a_first_deployment_that_died_leaves_nothing(site: Site) -> None:
    next_release(site, 1)
    for point in (5, 12, 20):
        assert interrupted(site, 1, point)
        assert target_on(site.engine).recover(site.app, site.output, 1) == 0
        assert site.names() == {}
        assert site.engine.networks({"gitdeploy.app": site.app.name}) == []
