"""A release as a service: which one serves, what it is called, what it pulls, what becomes a file."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.model import App
from gitdeploy.engine.cluster import ClusterService
from gitdeploy.engine.types import Image
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import RELEASE
from gitdeploy.targets.swarm.services import (
    LIVE,
    by_digest,
    overlay_name,
    secret_name,
    service_name,
    sort_out,
    split_secrets,
)

APP = App("o/shop", "box:5000/shop", "shop", target="swarm")
DIGEST = f"@sha256:{'a' * 64}"
IMAGE = Image("sha256:1", (), (f"other/shop{DIGEST}", f"box:5000/shop{DIGEST}"), {}, (), healthcheck=False, size=1, created="")


def service(release: int, live: int = 0) -> ClusterService:
    labels = {RELEASE: str(release), **({LIVE: str(live)} if live else {})}
    return ClusterService(f"s{release}", f"shop-r{release}", labels, "i", 1)


@pytest.mark.parametrize(
    ("services", "live"),
    [
        ([], 0),
        ([service(1)], 0),  # never went live
        ([service(1, 1)], 1),
        ([service(1, 1), service(2)], 1),
        ([service(1, 1), service(2, 2)], 2),
        ([service(1, 3), service(2, 2)], 1),  # a rollback, deployment 3, made it live again
    ],
)
def test_what_went_live_last_serves(services: list[ClusterService], live: int) -> None:
    for order in itertools.permutations(services):
        fleet = sort_out(order)
        assert [s.id for s in fleet.services] == sorted(s.id for s in services)
        assert (fleet.live.id if fleet.live else "s0") == f"s{live}"
        assert len(fleet.others) == len(services) - bool(live)


def test_a_release_is_found() -> None:
    fleet = sort_out([service(1, 1), service(2)])
    assert fleet.of_release(2) == service(2)
    assert fleet.of_release(3) is None


def test_machines_pull_from_the_apps_own_repository() -> None:
    assert by_digest(APP, IMAGE) == f"box:5000/shop{DIGEST}"
    hub = replace(APP, image="docker.io/6ain/shop")
    assert by_digest(hub, replace(IMAGE, digests=(f"6ain/shop{DIGEST}",))) == f"6ain/shop{DIGEST}"


@pytest.mark.parametrize("digests", [(), (f"box:5001/shop{DIGEST}",), (f"box:5000/shop2{DIGEST}",)])
def test_an_image_that_no_machine_could_pull(digests: tuple[str, ...]) -> None:
    with pytest.raises(StageFailed, match="no machine could pull it"):
        by_digest(APP, replace(IMAGE, digests=digests))


def test_what_becomes_a_file_is_no_variable() -> None:
    env = {"A": "1", "TOKEN": "pass wörd\n"}
    assert split_secrets(env, ()) == (env, {})
    assert split_secrets(env, ["TOKEN"]) == ({"A": "1"}, {"TOKEN": "pass wörd\n".encode()})


def test_a_file_of_which_nobody_knows_the_content() -> None:
    with pytest.raises(StageFailed, match="env_file has no B, C") as caught:
        split_secrets({"A": "swordfish"}, ["A", "B", "C"])
    assert "swordfish" not in caught.value.reason


CONTAINER = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,62}", fullmatch=True)
DNS = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"


@given(CONTAINER, st.integers(1, 10**9))
def test_names_fit_into_dns(container: str, release: int) -> None:
    app = replace(APP, container=container)
    for name in (service_name(app, release), overlay_name(app)):
        assert len(name) <= 63
        assert re.fullmatch(DNS, name)


@given(CONTAINER, CONTAINER)
def test_two_apps_have_two_names(one: str, other: str) -> None:
    first, second = replace(APP, container=one), replace(APP, container=other)
    assert (service_name(first, 7) == service_name(second, 7)) is (one == other)
    assert (overlay_name(first) == overlay_name(second)) is (one == other)


def test_a_plain_name_stays() -> None:
    assert (service_name(APP, 12), overlay_name(APP)) == ("shop-r12", "gitdeploy-shop-front")


SECRET = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}", fullmatch=True)


@given(st.integers(1, 63), SECRET, SECRET)
def test_secrets_have_short_names_of_their_own(length: int, one: str, other: str) -> None:
    service = "s" * length
    assert len(secret_name(service, one)) <= 64
    assert (secret_name(service, one) == secret_name(service, other)) is (one == other)
