"""What a tree and push options may set by itself and not as far as the server: BuildKit's own settings, caches, long times."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.config.load import apply_options, apply_tree, parse_config
from gitdeploy.config.model import App
from gitdeploy.errors import ConfigError

TABLE = '[apps."o/app"]\nimage = "127.0.0.1:5000/o/app"\n'


def tree(text: str, table: str = "") -> App:
    config = parse_config((TABLE + table).encode(), Path("/c.toml"))
    return apply_tree(config, config.apps["o/app"], text.encode(), "gitdeploy.toml")


def problems(text: str, table: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        tree(text, table)
    return [problem.removeprefix("gitdeploy.toml: ") for problem in caught.value.problems]


@pytest.mark.parametrize(
    "name",
    [
        *("HTTP_PROXY", "https_proxy", "Ftp_Proxy", "NO_PROXY", "ALL_PROXY", "_proxy", "ANY_proxy"),
        *("BUILDKIT_SYNTAX", "BUILDKIT_INLINE_CACHE", "BUILDKIT_CACHE_MOUNT_NS", "BUILDKIT_DOCKERFILE_CHECK", "buildkit_x"),
    ],
)
def test_buildkits_own_arguments_are_the_servers(name: str) -> None:
    (problem,) = problems(f'[build.args]\nPYTHON = "3"\n{name} = "canary"')
    where = f'apps."o/app".build.args.{name}'
    assert problem.startswith(f"build.args.{name}: only the server may set it, as {where} of its config.toml")
    assert "canary" not in problem
    assert tree("", f'build.args.{name} = "x"').build.args == {name: "x"}


@pytest.mark.parametrize("name", ["PROXY", "HTTP_PROXY_HOST", "SOURCE_DATE_EPOCH", "MY_BUILDKIT_X", "BUILDKIT"])
def test_other_arguments_are_the_trees(name: str) -> None:
    assert tree(f'build.args.{name} = "1"').build.args == {name: "1"}


@pytest.mark.parametrize(
    "image", ["127.0.0.1:5000/o/app", "127.0.0.1:5000/o/app:latest", "127.0.0.1:5000/o/app@sha256:" + "a" * 64]
)
def test_a_tree_takes_the_cache_of_its_own_image(image: str) -> None:
    assert tree(f'build.cache_from = "{image}"').build.cache_from == (image,)


@pytest.mark.parametrize("image", ["127.0.0.1:5000/o/other:1", "o/app:1", "127.0.0.1:5001/o/app", "127.0.0.1:5000/o/app/x:1"])
def test_the_cache_of_another_image_is_the_servers_to_name(image: str) -> None:
    (problem,) = problems(f'build.cache_from = ["127.0.0.1:5000/o/app:1", "{image}"]')
    assert problem.startswith('build.cache_from: expected images of "127.0.0.1:5000/o/app" alone, found "')
    assert tree("", f'build.cache_from = "{image}"').build.cache_from == (image,)


def test_spellings_of_docker_hub_are_one_image() -> None:
    config = parse_config(b'[apps."o/app"]\nimage = "6ain/app"\n', Path("/c.toml"))
    text = b'build.cache_from = ["docker.io/6ain/app:1", "index.docker.io/6ain/app", "6ain/app:2"]'
    assert len(apply_tree(config, config.apps["o/app"], text, "gitdeploy.toml").build.cache_from) == 3


LONG = [
    (
        'health = { start_period = "30m", retries = 2, timeout = "10m", interval = "6m" }',
        "health.start_period: expected at most 1h for start_period + retries x (interval + timeout), found 1h2m: ",
    ),
    ("health.retries = 1000", "health.retries: expected at most 1h for start_period + retries x"),
    (
        'replicas = 32\nhealth = { start_period = "50m" }',
        "replicas: expected at most 1d for replicas x (the time to get healthy + stop_timeout), found 1d",
    ),
    ('replicas = 32\nstop_timeout = "1h"', "replicas: expected at most 1d for replicas x"),
    ('replicas = 32\nhealth.min_uptime = "1h"', "replicas: expected at most 1d for replicas x"),
    (
        'strategy = "canary"\ncanary = { weight = [1, 2, 3], duration = "9h" }',
        "canary.duration: expected at most 1d for the steps of canary.weight x canary.duration, found 1d3h: ",
    ),
]


@pytest.mark.parametrize(("text", "problem"), LONG, ids=range(len(LONG)))
def test_times_that_are_long_together(text: str, problem: str) -> None:
    found = problems(text)
    assert found[0].startswith(problem)
    server = text.replace("\n", "\n")
    assert tree("", server) == tree('build.target = ""', server), "the server may"


def test_what_a_tree_sets_beside_the_servers_long_times() -> None:
    table = 'health = { start_period = "1h", retries = 10, interval = "1s", timeout = "1s" }\n'
    assert tree('health.retries = 900\nhealth.path = "/x"', table).health.retries == 10, "the server's value counts"
    (problem,) = problems("health.retries = 900", 'health.start_period = "1h"\n')
    assert problem.startswith("health.retries: expected at most 1h")


def test_the_longest_that_goes() -> None:
    longest = 'health = { start_period = "50m", retries = 10, interval = "30s", timeout = "30s" }'
    assert tree(longest).health.patience == 3600
    assert tree('canary = { weight = [1, 2, 3, 4], duration = "6h" }').canary.duration == 6 * 3600


def test_push_options_have_the_same_limits() -> None:
    app = tree("", "replicas = 1\n")
    assert apply_options(app, ["gitdeploy.canary.weight=5,10", "gitdeploy.canary.duration=12h"])[0].canary.duration == 12 * 3600
    with pytest.raises(ConfigError, match=r"canary\.duration: expected at most 1d for the steps"):
        apply_options(app, ["gitdeploy.canary.weight=5,10,20", "gitdeploy.canary.duration=12h"])
    slow = tree("", "health.retries = 1000\n")
    assert apply_options(slow, ["gitdeploy.canary.weight=5"])[0].health.retries == 1000, "not what the options set"
