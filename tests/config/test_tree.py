"""The tree's own gitdeploy.toml: written by whoever may push, so it sets what harms nobody and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.keys import APP_KEYS, Key
from gitdeploy.config.layers import BUILT_IN
from gitdeploy.config.load import apply_tree, parse_config
from gitdeploy.config.model import App, Config
from gitdeploy.config.show import value_of
from gitdeploy.config.writer import dump_key, dump_value
from gitdeploy.errors import ConfigError

SERVER = b"""
[defaults]
env = { LEVEL = "default", REGION = "default" }
stop_timeout = "20s"
[apps."o/app"]
publish = "8080:80"
env = { GREETING = "server" }
health.retries = 7
build.args.PYTHON = "3.12"
[apps."o/other"]
publish = "9090:80"
volumes = ["app-shared:/x", "app-2-data:/y"]
[apps."o/app-2"]
container = "app-2"
"""
SERVER_ONLY = [path for path, key in APP_KEYS.items() if key.tree == "no"]
ALLOWABLE = [path for path, key in APP_KEYS.items() if key.tree == "allow"]
HARMLESS = [path for path, key in APP_KEYS.items() if key.tree == "yes"]


def server(*allow: str) -> Config:
    return parse_config(SERVER.replace(b"health.retries", f"allow = {dump_value(allow)}\nhealth.retries".encode()), Path("/c.toml"))


def tree(text: str | bytes, *allow: str) -> App:
    config = server(*allow)
    return apply_tree(config, config.apps["o/app"], text if isinstance(text, bytes) else text.encode(), "gitdeploy.toml")


def problems(text: str | bytes, *allow: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        tree(text, *allow)
    assert all(problem.startswith("gitdeploy.toml: ") and problem.isprintable() for problem in caught.value.problems)
    return [problem.removeprefix("gitdeploy.toml: ") for problem in caught.value.problems]


def sample(key: Key) -> Any:
    """A TOML value that the key takes."""
    default = value_of(BUILT_IN, key.path)
    return key.example if not default and key.example is not None else key.kind.format(default)


def spellings(path: str, value: object) -> list[str]:
    """All ways to write one key in TOML."""
    table, _, leaf = path.rpartition(".")
    written = dump_value(value)
    if not table:
        return [f"{leaf} = {written}", f'"{leaf}" = {written}', f"'{leaf}' = {written}", f'"\\u{ord(leaf[0]):04x}{leaf[1:]}" = {written}']
    return [
        f"{path} = {written}",
        f'{table} . "{leaf}" = {written}',
        f"[{table}]\n{leaf} = {written}",
        f'["{table}"]\n"{leaf}" = {written}',
        f"{table} = {{ {leaf} = {written} }}",
        f"{table} = {{ '{leaf}' = {written} }}",
    ]


def test_layers() -> None:
    app = tree(
        """
        strategy = "rolling"
        stop_timeout = "30s"
        env = { LEVEL = "tree", GREETING = "tree", OWN = "tree" }
        [build]
        args = { PYTHON = "2.7", EXTRA = "1" }
        dockerfile = "docker/Dockerfile"
        [health]
        path = "/health"
        retries = 1
        """
    )
    assert (app.strategy, app.stop_timeout) == ("rolling", 30.0)
    assert app.env == {"LEVEL": "tree", "REGION": "default", "GREETING": "server", "OWN": "tree"}
    assert app.build.args == {"PYTHON": "3.12", "EXTRA": "1"}
    assert (app.build.dockerfile, app.health.path, app.health.retries) == ("docker/Dockerfile", "/health", 7)


@pytest.mark.parametrize("text", [b"", b"# nothing\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_changes_nothing(text: bytes) -> None:
    assert server().apps["o/app"] == tree(text)


def test_who_may_set_what() -> None:
    """A new key has to be put into one of these lists by somebody who thought about it."""
    assert SERVER_ONLY == (
        "image container branch env_file queue repository build.secrets build.timeout push.auth_file push.timeout"
        " router.kind router.image router.labels retain.build_cache allow"
    ).split()
    assert ALLOWABLE == (
        "publish volumes networks restart on_new_push push.enabled push.tags push.on_reused_version"
        " router.mode router.proxy_protocol router.drain_timeout retain.releases"
    ).split()


@pytest.mark.parametrize("path", [*SERVER_ONLY, *ALLOWABLE])
def test_what_only_the_server_may_set_in_every_spelling(path: str) -> None:
    for text in spellings(path, sample(APP_KEYS[path])):
        (problem,) = problems(text)
        assert problem.startswith(f"{path}: only the server may set it"), text


@pytest.mark.parametrize("path", SERVER_ONLY)
def test_no_list_hands_these_out(path: str) -> None:
    with pytest.raises(ConfigError, match="allow"):
        server(path)


@pytest.mark.parametrize("path", HARMLESS)
def test_what_a_tree_may_set_in_every_spelling(path: str) -> None:
    config = parse_config(b'[apps."o/app"]', Path("/c.toml"))
    key = APP_KEYS[path]
    for text in spellings(path, sample(key)):
        app = apply_tree(config, config.apps["o/app"], text.encode(), "gitdeploy.toml")
        assert key.kind.parse(sample(key)) == value_of(app, path), text


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("networks", '"backend"'),
        ("restart", '"always"'),
        ("push.tags", '["{version}"]'),
        ("router.drain_timeout", '"5s"'),
        ("volumes", '"app-data:/data"'),
    ],
)
def test_what_the_server_allows(path: str, written: str) -> None:
    app = tree(f"{path} = {written}", path)
    assert value_of(app, path) != value_of(server().apps["o/app"], path)
    others = [other for other in ALLOWABLE if other != path]
    (problem,) = problems(f"{path} = {written}", *others)
    assert f'can allow it here: allow = ["{path}"]' in problem


def test_router_as_a_word_is_refused_too() -> None:
    assert problems('router = "external"')[0].startswith("router.kind: only the server may set it")


@pytest.mark.parametrize("table", ["server", "notify", "defaults", "apps", 'apps."o/other"'])
def test_tables_of_the_servers_file(table: str) -> None:
    (problem,) = problems(f"[{table}]\nimage = 'x'")
    assert problem.endswith("only the server's config.toml has this table; the app's keys stand here without one")


def test_a_quoted_dot_is_no_dot() -> None:
    assert problems('"build.dockerfile" = "x"') == ['"build.dockerfile": unknown key; did you mean build.dockerfile?']
    assert problems('[build]\n"args.X" = "x"') == ['build."args.X": unknown key; did you mean build.args?']


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        ("/:/host", "only the server may mount paths of the host"),
        ("/var/run/docker.sock:/s", "only the server may mount paths of the host"),
        ("gogs-data:/x", 'expected a volume of this app, such as "app-data:/x", found "gogs-data:/x"'),
        ("app-shared:/x", 'found "app-shared:/x"'),
        ("app-2-logs:/x", 'found "app-2-logs:/x"'),
        ("apparent:/x", 'found "apparent:/x"'),
    ],
)
def test_volumes_that_are_not_the_apps_own(volume: str, text: str) -> None:
    (problem,) = problems(f"volumes = ['app:/ok', 'app_x:/ok2', '{volume}']", "volumes")
    assert problem.startswith("volumes: ")
    assert text in problem


def test_the_servers_own_volumes_are_not_judged_as_the_trees() -> None:
    config = parse_config(b'[apps."o/app"]\nvolumes = "/srv/x:/x"\nallow = "volumes"', Path("/c.toml"))
    app = apply_tree(config, config.apps["o/app"], b"replicas = 2", "gitdeploy.toml")
    assert [str(volume) for volume in app.volumes] == ["/srv/x:/x"]


def test_another_apps_port_cannot_be_taken() -> None:
    config = parse_config(SERVER.replace(b'publish = "8080:80"', b'allow = "publish"'), Path("/c.toml"))
    app = config.apps["o/app"]
    assert [str(port) for port in apply_tree(config, app, b"publish = '8081:80'", "t").publish] == ["8081:80"]
    with pytest.raises(ConfigError, match=r"publish: port 127.0.0.1:9090:1 of the host is already o/other's \(9090:80\)"):
        apply_tree(config, app, b"publish = '127.0.0.1:9090:1'", "t")


def test_contradictions_with_the_servers_values() -> None:
    assert problems("replicas = 2") == [
        'replicas: 2 containers cannot share 8080:80 without a router: use "rolling", or replicas = 1'
    ]


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
        ('strategy = "\\u001b[2J\\u202e"', 'strategy: expected "recreate", "rolling", "blue-green" or "canary", found "\\x1b[2J\\u202e"'),
        ('"\\u001b[2J" = 1', '"\\x1b[2J": unknown key'),
        ("build.dockerfile = '../../etc/passwd'", "build.dockerfile: expected a path within the tree, "),
        ("build.context = '/etc'", "build.context: expected a path within the tree, "),
        ('build.target = "x\\u0000"', 'build.target: expected the name of a stage in the Dockerfile, found "x\\x00"'),
        ("env = { 'A=B' = '' }", "env: expected a name such as GREETING: letters, digits, '_', '.', '-', found \"A=B\""),
        ("env = [['A', 'B']]", "env: expected a table, each value a string, found an array"),
        ("stop_timeout = '2h'", 'stop_timeout: expected a duration from 0s to 1h, such as "10s", "1m30s" or a number of seconds, found "2h"'),
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
    assert (51, "and 9950 more") == (len(found), found[-1])


def test_all_mistakes_at_once() -> None:
    assert len(problems("replicas = 0\nimage = 'x'\nbranch = 'x'\nfoo = 1\n[build]\nsecrets = {}\nengine = 'x'\n")) == 6


VALUES = st.recursive(
    st.none().map(lambda _: "x") | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([part for path in APP_KEYS for part in path.split(".")]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FIXED = [path for path in APP_KEYS if path not in HARMLESS]


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
