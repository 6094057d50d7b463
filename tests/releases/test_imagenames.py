"""Names of images: gitdeploy's own are references that no other app has, and public tags are taken from nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.appname import PATTERN, is_app_name
from gitdeploy.config.imagereference import parse
from gitdeploy.config.model import App
from gitdeploy.engine.types import Image
from gitdeploy.releases.imagenames import beside, claim_problem, is_own, is_own_tag, own_name, own_repository
from gitdeploy.releases.release import APP

DEV_APP = App("devops/dev-app", "6ain/dev-app", "dev-app")
ODD = [
    "a/b",
    "a__b/c",
    "a.-b/c",
    "_/_",
    "a_/b",
    "a___b/c",
    "0/_x",
    "a-/b.",
    "x" * 100 + "/" + "y" * 100,
    "_" * 100 + "/" + "_" * 100,
]


@pytest.mark.parametrize("name", ODD)
def test_every_app_has_a_repository_of_its_own(name: str) -> None:
    assert is_app_name(name)
    found = parse(own_name(name, 10**15, "f" * 64))
    assert found is not None
    assert (found.domain, found.digest) == ("gitdeploy.local", "")
    assert len(found.repository) <= 255
    assert parse(beside(name, "pending", "r.example/x:1"))


def test_no_two_apps_share_one() -> None:
    assert len({own_repository(name) for name in ODD}) == len(ODD)
    twisted = own_repository("a_/b").removeprefix("gitdeploy.local/")
    assert not is_app_name(twisted)  # three parts: nobody can make a repository that is called like another one's hash


@given(st.from_regex(PATTERN, fullmatch=True), st.from_regex(PATTERN, fullmatch=True))
def test_whatever_an_app_is_called(one: str, other: str) -> None:
    assert parse(own_name(one, 1, "0" * 40))
    assert (own_repository(one) == own_repository(other)) == (one == other)


@pytest.mark.parametrize("name", ["o/r.git", "o/a..b", "o/" + "r" * 101, "O/r", "o", "o/r/x", ".o/r", "o/-r", "o/r\n", ""])
def test_names_that_no_app_has(name: str) -> None:
    assert not is_app_name(name)


@pytest.mark.parametrize(
    ("tag", "own"),
    [
        ("6ain/dev-app:1", True),
        ("docker.io/6ain/dev-app:1", True),
        ("6ain/dev-app@sha256:" + "0" * 64, True),
        ("gitdeploy.local/devops/dev-app:1-abc", True),
        ("gitdeploy.local/devops/dev-app2:1-abc", False),
        ("6ain/dev-app2:1", False),
        ("r.example/6ain/dev-app:1", False),
        ("sha256:" + "0" * 64, False),
    ],
)
def test_whose_a_tag_is(tag: str, own: bool) -> None:
    assert is_own_tag(DEV_APP, tag) == own
    labelled = Image("i", (tag,), (), {APP: DEV_APP.name}, (), False, 1, "")
    assert is_own(labelled, DEV_APP) == own
    assert not is_own(replace(labelled, labels={APP: "other/app"}), DEV_APP)


@pytest.mark.parametrize(
    ("labels", "tags", "used", "adopt", "problem"),
    [
        ({APP: "devops/dev-app"}, (), True, False, ""),
        ({APP: "other/app"}, (), False, True, "is other/app's"),
        ({APP: ""}, (), True, True, "did not build"),
        ({}, (), False, True, ""),
        ({}, (), False, False, "did not build"),
        ({}, ("backup:1",), False, True, "did not build, and backup:1 names it, too"),
        ({}, (), True, True, "did not build, and another container runs it"),
    ],
)
def test_a_tag_that_exists(labels: dict[str, str], tags: tuple[str, ...], used: bool, adopt: bool, problem: str) -> None:
    holder = Image("i", ("6ain/dev-app:1", *tags), (), labels, (), False, 1, "")
    found = claim_problem(replace(DEV_APP, adopt=adopt), "6ain/dev-app:1", holder, used_elsewhere=used)
    assert problem in found
    assert bool(problem) == bool(found)
    assert claim_problem(DEV_APP, "6ain/dev-app:2", None, used_elsewhere=False) == ""
