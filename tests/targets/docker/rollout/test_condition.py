"""What `status` and `doctor` say of an app is what its containers do."""

from __future__ import annotations

import http.client
from contextlib import suppress

import pytest

from tests.support.net import get, wait_until
from tests.support.targets import target_on
from tests.targets.docker.rollout.site import Site


def condition(site: Site) -> str:
    return target_on(site.engine).condition(site.app)


@pytest.mark.parametrize("strategy", ["recreate", "blue-green"])
def test_stopped_started_and_removed(strategy: str, site: Site) -> None:
    site.configure(strategy=strategy)
    assert condition(site) == "its container is gone"
    site.deploy("1")
    assert condition(site) == ""
    (container,) = site.containers()
    site.engine.stop(container.id, 0)
    assert condition(site).startswith(f"{container.name} has exited with code ")
    site.engine.start(container.id)
    assert condition(site) == ""
    site.engine.remove(container.id, force=True)
    assert condition(site) == "its container is gone"


def test_a_crash_loop(site: Site) -> None:
    site.configure(strategy="recreate", restart="always")
    site.deploy("1", CRASH_AFTER="1")
    assert condition(site) == ""
    with suppress(OSError, http.client.HTTPException):
        get(site.url)
    wait_until(lambda: "ends and is started again (1 time so far)" in condition(site), 10, "the restart")


def test_a_router_that_is_stopped(live: Site) -> None:
    live.engine.stop(live.router().id, 0)
    assert condition(live).startswith(f"nothing reaches it without its router: {live.router().name} has exited")
    live.engine.start(live.router().id)
    wait_until(lambda: condition(live) == "", 10, "the router")


def test_a_replica_that_is_gone(site: Site) -> None:
    site.configure(replicas=2)
    site.deploy("1")
    assert condition(site) == ""
    site.engine.remove(site.containers()[0].id, force=True)
    assert condition(site) == "1 of its 2 containers are gone"
