"""blue-green's `hold`, and rollbacks."""

from __future__ import annotations

import time

from gitdeploy.targets.docker.rollout.held import release_held
from gitdeploy.targets.docker.rollout.recovery import recover
from gitdeploy.targets.docker.rollout.serving import serving_release
from tests.support.net import get
from tests.support.targets import target_on
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.site import Site


def states(site: Site) -> dict[str, str]:
    """Release → state of its container."""
    return {c.labels["gitdeploy.release"]: c.state for c in site.containers()}


def test_the_old_release_is_held_for_an_instant_way_back(site: Site) -> None:
    site.configure(hold=3600.0)
    site.deploy("1", release=1)
    started = site.containers()[0].started
    outcome = site.deploy("2", release=2)
    assert 3590 < target_on(site.engine).settle(site.app, site.output) <= 3600
    assert outcome.note == "blue-green, 1 is kept for 3600 s"
    assert states(site) == {"1": "running", "2": "running"}
    assert serving_release(site.engine, site.app) == 2
    assert recover(site.engine, site.app, site.output, time.monotonic) == 2
    assert states(site) == {"1": "running", "2": "running"}, "recovery leaves what is held"
    with Load(site.port) as load:
        assert site.deploy("1", release=3, reuse=1).note == ""
    assert load.lost == {}
    assert get(site.url) == "1"
    (back,) = site.containers()
    assert (back.name, back.labels["gitdeploy.release"], back.started) == (site.app.container, "1", started)
    assert "the containers of 1 still run" in site.output.text
    assert serving_release(site.engine, site.app) == 1


def test_what_is_held_goes_when_its_time_is_over(site: Site) -> None:
    site.configure(hold=60.0)
    site.deploy("1", release=1)
    assert release_held(site.engine, site.app, site.output, time.time()) == 0.0
    site.deploy("2", release=2)
    assert 0 < release_held(site.engine, site.app, site.output, time.time()) <= 60.0
    assert states(site) == {"1": "running", "2": "running"}
    assert release_held(site.engine, site.app, site.output, time.time() + 61) == 0.0
    assert states(site) == {"2": "running"}
    assert get(site.url) == "2"


def test_only_one_release_is_held(site: Site) -> None:
    site.configure(hold=60.0)
    for number in (1, 2, 3):
        site.deploy(f"{number}", release=number)
    assert states(site) == {"2": "running", "3": "running"}


def test_a_rollback_starts_the_release_again_where_it_no_longer_runs(site: Site) -> None:
    site.deploy("1", release=1)
    site.deploy("2", release=2)
    for release, strategy in enumerate(("blue-green", "rolling", "canary", "recreate"), 3):
        site.configure(strategy=strategy)
        site.deploy("1", release=release, reuse=1)
        assert get(site.url) == "1"
        assert states(site) == {f"{release}": "running"}


def test_a_release_that_serves_already_is_only_confirmed(site: Site) -> None:
    """The worker was killed between the switch and its record."""
    site.deploy("1", release=1)
    (container,) = site.containers()
    assert site.deploy("1", release=1).outage == 0.0
    assert [c.id for c in site.containers()] == [container.id]
    assert "serves already" in site.output.text
