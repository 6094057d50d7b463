"""A deployment to a cluster is killed before each of its changes; the next run puts the app right, whatever was going on."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from gitdeploy.config.sections import Canary, Swarm
from gitdeploy.errors import GitdeployError
from gitdeploy.releases.release import APP, RELEASE
from tests.support.net import wait_until
from tests.support.params import sample
from tests.support.targets import target_on
from tests.targets.docker.rollout.interposed import Count, Interposed, KillAt, Killed, changes, kill_before
from tests.targets.docker.rollout.site import answers
from tests.targets.swarm.fleet import ClusterSite

STRATEGIES = ("rolling", "blue-green", "recreate", "canary")
SECRET = {"TOKEN": "hush"}

SAMPLE = 0.35, 0.8
"""Without --exhaustive, only these points of the way are tried."""


@contextmanager
def watched(site: ClusterSite) -> Iterator[Interposed]:
    """Everything that gitdeploy asks of the engine and the cluster inside goes through what this gives."""
    real = site.engine
    site.engine = Interposed(real)  # type: ignore[assignment]
    try:
        yield site.engine  # type: ignore[misc]
    finally:
        site.engine = real


def leavings(site: ClusterSite) -> Counter[str]:
    """What the app has on the cluster and on the manager, by kind and release."""
    found = Counter(f"service {s.labels.get(RELEASE, 'entry')}" for s in site.services())
    found += Counter(f"secret {s.labels.get(RELEASE, 'entry')}" for s in site.cluster.secrets({APP: site.app.name}))
    found += Counter("router" if c.running else "dead router" for c in site.containers("router"))
    return found + Counter("check" for _ in site.containers("check"))


def tidy(site: ClusterSite, release: int) -> Counter[str]:
    """The same where one release serves and nothing was left over."""
    router = ["router"] if site.app.strategy != "recreate" else []
    entry = ["service entry", "secret entry"] if site.app.router.nodes else []
    return Counter([f"service {release}", f"secret {release}", *router, *entry])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("broken", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("strategy", sample(STRATEGIES, "rolling", "recreate"))
def test_killed_at_any_point(site: ClusterSite, strategy: str, broken: bool, pytestconfig: pytest.Config) -> None:
    """Old or new serves after each kill and recovery, and nothing is left over; `broken`: its undoing is interrupted."""
    site.configure(strategy=strategy, replicas=1 if strategy == "recreate" else 2, canary=Canary(duration=0.2))
    site.configure(swarm=Swarm(secret_files=("TOKEN",)))
    for point in points_of(site, broken, every=pytestconfig.getoption("--exhaustive")):
        killed_then_recovered(site, point, broken=broken)


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
def test_killed_with_routers_of_machines(site: ClusterSite, strategy: str, broken: bool) -> None:
    """The same with `router.nodes`."""
    site.swarm.label(site.swarm.manager, entry="yes")
    site.configure(strategy=strategy, replicas=2, router=replace(site.app.router, nodes="entry==yes"))
    site.configure(swarm=Swarm(secret_files=("TOKEN",)))
    try:
        for point in points_of(site, broken, every=True):
            killed_then_recovered(site, point, broken=broken)
    finally:
        site.swarm.label(site.swarm.manager)


def points_of(site: ClusterSite, broken: bool, *, every: bool) -> Iterable[int]:
    """The changes of a deployment to kill it before, counted in one that is not killed."""
    deploy(site, next(site.numbers))
    with watched(site) as engine:
        count = Count(engine)
        with contextlib.suppress(GitdeployError):
            deploy(site, next(site.numbers), broken=broken)
    assert count.changes > 5
    points = range(count.changes)
    return points if every else [int(len(points) * part) for part in SAMPLE]


def deploy(site: ClusterSite, release: int, *, broken: bool = False) -> None:
    site.deploy(f"{release}", release=release, **SECRET, **({"EXIT": "4"} if broken else {}))


def killed_then_recovered(site: ClusterSite, point: int, *, broken: bool) -> None:
    """One point."""
    target = target_on(site.engine)
    before, release = target.serving(site.app), next(site.numbers)
    site.output.lines.clear()
    with watched(site) as engine:
        kill = KillAt(engine, point)
        with pytest.raises((Killed, GitdeployError)):
            deploy(site, release, broken=broken)
    if not kill.where:
        return  # undoing can take a change less
    live = target.recover(site.app, site.output, release)
    told = f"killed before {kill.where} ({point}):\n{site.output.text}"
    assert live in ((before,) if broken else (before, release)), told
    wait_until(lambda: answers(site.url, f"{live}"), 30, f"release {live}, {told}")
    wait_until(lambda: leavings(site) == tidy(site, live), 20, f"{tidy(site, live)} instead of {leavings(site)}, {told}")
    assert target.serving(site.app) == live, told
    wait_until(lambda: site.condition() == "", 20, f"{site.condition()}, {told}")
    with watched(site) as engine:
        done: list[str] = []
        engine.after = lambda name, arguments: done.append(name) if changes(name, arguments) else None
        assert target_on(site.engine).recover(site.app, site.output, release) == live
    assert set(done) <= {"put_files"}, f"a second run changes nothing, but writes the router's file, {told}"


def test_a_scout_that_was_left_goes(site: ClusterSite) -> None:
    site.configure(swarm=Swarm(secret_files=("TOKEN",)))
    deploy(site, 1)
    site.configure(router=replace(site.app.router, drain_timeout=4.0))
    with watched(site) as engine:
        kill_before(engine, "signal")
        with pytest.raises(Killed):
            deploy(site, 2)
    assert leavings(site)["check"] == 1
    assert target_on(site.engine).recover(site.app, site.output, 2) == 1
    wait_until(lambda: leavings(site) == tidy(site, 1), 20, f"{tidy(site, 1)} instead of {leavings(site)}")
    assert answers(site.url, "1")


def test_a_first_deployment_that_died_leaves_nothing(site: ClusterSite) -> None:
    site.configure(swarm=Swarm(secret_files=("TOKEN",)))
    with watched(site) as engine:
        kill = KillAt(engine, 8)
        with pytest.raises(Killed):
            deploy(site, 1)
    assert kill.where
    assert target_on(site.engine).recover(site.app, site.output, 1) == 0
    assert leavings(site) == Counter()


def test_one_that_ends_at_once_gives_its_port_back(site: ClusterSite) -> None:
    """Its next attempt, which waits for its turn, holds the machine's port by then."""
    site.configure(strategy="recreate", replicas=1, swarm=Swarm(secret_files=("TOKEN",)))
    deploy(site, 1)
    with pytest.raises(GitdeployError, match="non-zero exit"):
        deploy(site, 2, broken=True)
    assert target_on(site.engine).serving(site.app) == 1
    wait_until(lambda: answers(site.url, "1"), 20, "the old release")
