"""A tree's gitdeploy.toml by somebody who wants more: whatever its form, it ends in clear problems and changes nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.keys import APP_KEYS
from gitdeploy.config.load import apply_tree
from gitdeploy.config.show import value_of
from gitdeploy.config.writer import dump_key, dump_value
from gitdeploy.errors import ConfigError
from tests.config.tree import problems, server


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("replicas = 33", "replicas: expected an integer from 1 to 32, found 33"),
        ("replicas = true", "replicas: expected an integer from 1 to 32, found true"),
        ("replicas = 0x" + "f" * 5000, "replicas: expected an integer from 1 to 32, found an integer of more than 18 digits"),
        ("replicas = 1e400", "replicas: expected an integer from 1 to 32, found inf (no finite number)"),
        ("replicas = nan", "replicas: expected an integer from 1 to 32, found nan (no finite number)"),
        ("replicas = 1979-05-27", "replicas: expected an integer from 1 to 32, found a date or time"),
        ("replicas = [[[[[[1]]]]]]", "replicas: expected an integer from 1 to 32, found an array"),
        ("[[replicas]]", "replicas: expected an integer from 1 to 32, found an array"),
        ("[[build]]\ndockerfile = 'x'", "build: expected a table, found an array"),
        ("[build.dockerfile.x]", "build.dockerfile: expected a path within the tree, "),
        ("[health.path]", 'health.path: expected a path such as "/health", found a table'),
        ("health.path = '/a\"\\u000a'", 'health.path: expected a path such as "/health", found '),
        ('health.path = "/\\r\\nHost: x"', 'health.path: expected a path such as "/health", found "/\\r\\nHost: x"'),
        (
            'strategy = "\\u001b[2J\\u202e"',
            'strategy: expected "recreate", "rolling", "blue-green" or "canary", found "\\x1b[2J\\u202e"',
        ),
        ('"\\u001b[2J" = 1', '"\\x1b[2J": unknown key'),
        ("build.dockerfile = '../../etc/passwd'", "build.dockerfile: expected a path within the tree, "),
        ("build.context = '/etc'", "build.context: expected a path within the tree, "),
        ('build.target = "x\\u0000"', 'build.target: expected the name of a stage in the Dockerfile, found "x\\x00"'),
        ("env = { 'A=B' = '' }", "env: expected a name such as GREETING: letters, digits, '_', '.', '-', found \"A=B\""),
        ("env = [['A', 'B']]", "env: expected a table, each value a string, found an array"),
        (
            "stop_timeout = '2h'",
            'stop_timeout: expected a duration from 0s to 1h, such as "10s", "1m30s" or a number of seconds, found "2h"',
        ),
        ("x = " + "[" * 50_000, "not valid TOML: arrays or tables nested too deep"),
        ("x = " + "{a=" * 30_000, "not valid TOML: arrays or tables nested too deep"),
        ("a" + ".a" * 40_000 + " = 1", "expected at most 100 dots in line 1, found 40000"),
        ("[" + ".".join("a" * 40_000) + "]", "expected at most 100 dots in line 1, found 39999"),
        ("#" * 100_001, "expected at most 100000 bytes, found 100001"),
        ("x = '\0'", "not valid TOML: "),
        ("x = 1\rreplicas = 2", "not valid TOML: "),
    ],
)
def test_hostile_texts(text: str, problem: str) -> None:
    if problem.endswith((", ", ": ", "found ")):
        assert problems(text)[0].startswith(problem)
    else:
        assert problems(text) == [problem]


def test_hostile_bytes() -> None:
    assert problems(b"\xff\xfe[\0b\0") == ["expected UTF-8, found the byte 0xff in line 1"]
    assert problems(b"strategy = 'x\xc3'") == ["expected UTF-8, found the byte 0xc3 in line 1"]


def test_ten_thousand_unknown_keys_are_counted() -> None:
    found = problems("".join(f"k{n:05}=1\n" for n in range(10_000)))
    assert (len(found), found[-1]) == (51, "and 9950 more")


def test_all_mistakes_at_once() -> None:
    assert len(problems("replicas = 0\nimage = 'x'\nbranch = 'x'\nfoo = 1\n[build]\nsecrets = {}\nengine = 'x'\n")) == 6


VALUES = st.recursive(
    st.none().map(lambda _: "x")
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from([part for path in APP_KEYS for part in path.split(".")]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)
FIXED = [path for path, key in APP_KEYS.items() if key.tree != "yes"]


@given(st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3), VALUES), max_size=4))
def test_no_file_changes_what_is_the_servers(statements: list[tuple[list[str], object]]) -> None:
    config = server()
    before = config.apps["o/app"]
    text = "\n".join(f"{dump_key(path)} = {dump_value(value)}" for path, value in statements)
    try:
        after = apply_tree(config, before, text.encode(), "gitdeploy.toml")
    except ConfigError as error:
        assert all(problem.isprintable() for problem in error.problems)
        return
    assert [value_of(before, path) for path in FIXED] == [value_of(after, path) for path in FIXED]
    assert {"GREETING": "server"}.items() <= after.env.items()


@given(st.binary(max_size=200))
def test_no_bytes_give_a_traceback(data: bytes) -> None:
    config = server()
    try:
        assert apply_tree(config, config.apps["o/app"], data, "gitdeploy.toml") == config.apps["o/app"]
    except ConfigError as error:
        assert error.problems
