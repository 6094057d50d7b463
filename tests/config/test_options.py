"""Push options: `git push -o gitdeploy.NAME[=VALUE]`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.keys import APP_KEYS, PUSH_OPTIONS
from gitdeploy.config.load import apply_options, parse_config
from gitdeploy.config.model import App
from gitdeploy.config.show import value_of
from gitdeploy.errors import ConfigError

APP = parse_config(b'[apps."o/app"]\nstrategy = "rolling"\npublish = "80:80"\nreplicas = 2', Path("/c.toml")).apps["o/app"]


def problems(*options: str, app: App = APP) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        apply_options(app, options)
    assert "push options are gitdeploy.skip, gitdeploy.strategy, " in caught.value.hint
    return list(caught.value.problems)


def test_nothing_asked_for() -> None:
    assert apply_options(APP, ["ci.skip", "gitdeploy", "GITDEPLOY.skip", "", "\0"]) == (APP, False)


@pytest.mark.parametrize(
    ("options", "skip"),
    [
        (["gitdeploy.skip"], True),
        (["gitdeploy.skip=true"], True),
        (["gitdeploy.skip=false"], False),
        (["gitdeploy.skip", "gitdeploy.skip=false"], False),
    ],
)
def test_skip(options: list[str], skip: bool) -> None:
    assert apply_options(APP, options) == (APP, skip)


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("strategy=canary", "strategy", "canary"),
        ("hold=5m", "hold", 300.0),
        ("hold=60", "hold", 60.0),
        ("output=full", "build.output", "full"),
        ("pull", "build.pull", True),
        ("no-cache", "build.no_cache", True),
        ("no-cache=false", "build.no_cache", False),
        ("canary.weight=10,50%,100", "canary.weight", (10, 50, 100)),
        ("canary.weight=25", "canary.weight", (25,)),
        ("canary.duration=1m30s", "canary.duration", 90.0),
    ],
)
def test_options_win_over_the_servers_table(option: str, path: str, value: object) -> None:
    changed, skip = apply_options(APP, ["-v", f"gitdeploy.{option}"])
    assert (value, False) == (value_of(changed, path), skip)
    assert [p for p in APP_KEYS if value_of(changed, p) != value_of(APP, p)] in ([path], [])


def test_every_option_is_tried_above() -> None:
    assert list(PUSH_OPTIONS) == ["strategy", "hold", "output", "pull", "no-cache", "canary.weight", "canary.duration"]
    assert all(key.tree == "yes" for key in PUSH_OPTIONS.values())


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("skp", "push option: gitdeploy.skp: unknown key; did you mean gitdeploy.skip?"),
        ("no_cache", "push option: gitdeploy.no_cache: unknown key; did you mean gitdeploy.no-cache?"),
        ("image=evil", "push option: gitdeploy.image: unknown key"),
        ("env.A=b", "push option: gitdeploy.env.A: unknown key"),
        ("", 'push option: gitdeploy."": unknown key'),
        ("skip=yes", 'push option: gitdeploy.skip: expected true or false, found "yes"'),
        ("pull=", 'push option: gitdeploy.pull: expected true or false, found ""'),
        (
            "strategy=\x1b[2J`id`",
            'push option: gitdeploy.strategy: expected "recreate", "rolling", "blue-green" or "canary", found "\\x1b[2J`id`"',
        ),
        ("strategy", 'push option: gitdeploy.strategy: expected "recreate", "rolling", "blue-green" or "canary", found ""'),
        ("canary.weight=10,x", 'push option: gitdeploy.canary.weight[1]: expected a percentage from 1 to 100, found "x"'),
        ("canary.weight=50,10", "push option: canary.weight: expected ascending steps, found [50, 10]"),
        ("\x1b[2J", 'push option: gitdeploy."\\x1b[2J": unknown key'),
    ],
)
def test_wrong_options(option: str, problem: str) -> None:
    assert problems(f"gitdeploy.{option}") == [problem]


def test_all_mistakes_at_once() -> None:
    assert len(problems("gitdeploy.a", "gitdeploy.skip=1", "gitdeploy.hold=x", "gitdeploy.pull")) == 3


def test_no_contradictions_that_only_come_from_another_mistake() -> None:
    assert len(problems("gitdeploy.strategy=recreate", "gitdeploy.hold=x")) == 1


def test_an_option_that_contradicts_the_config() -> None:
    (problem,) = problems("gitdeploy.strategy=recreate")
    assert problem.startswith("push option: replicas: 2 containers cannot share 80:80 without a router")


@given(
    st.lists(
        st.text(max_size=20).map(lambda text: f"gitdeploy.{text}") | st.sampled_from(["gitdeploy.pull", "gitdeploy.hold=1"])
    )
)
def test_no_option_gives_a_traceback(options: list[str]) -> None:
    try:
        apply_options(APP, options)
    except ConfigError as error:
        assert all(problem.isprintable() for problem in error.problems)
