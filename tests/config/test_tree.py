"""The tree's own gitdeploy.toml: written by whoever may push, so it sets what harms nobody and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitdeploy.config.key import Key
from gitdeploy.config.keys import APP_KEYS
from gitdeploy.config.layers import BUILT_IN
from gitdeploy.config.load import apply_tree, parse_config
from gitdeploy.config.show import value_of
from gitdeploy.config.writer import dump_value
from gitdeploy.errors import ConfigError
from tests.config.tree import SERVER, problems, server, tree

SERVER_ONLY = [path for path, key in APP_KEYS.items() if key.tree == "no"]
ALLOWABLE = [path for path, key in APP_KEYS.items() if key.tree == "allow"]
HARMLESS = [path for path, key in APP_KEYS.items() if key.tree == "yes"]


def sample(key: Key) -> Any:
    """A TOML value that the key takes."""
    default = value_of(BUILT_IN, key.path)
    return key.example if not default and key.example is not None else key.kind.format(default)


def spellings(path: str, value: object) -> list[str]:
    """All ways to write one key in TOML."""
    table, _, leaf = path.rpartition(".")
    written = dump_value(value)
    if not table:
        return [
            f"{leaf} = {written}",
            f'"{leaf}" = {written}',
            f"'{leaf}' = {written}",
            f'"\\u{ord(leaf[0]):04x}{leaf[1:]}" = {written}',
        ]
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
    assert " ".join(SERVER_ONLY) == (
        "image container adopt branch target env_file on_new_push queue paths formerly taken_from repository verify"
        " verify_timeout require_signed.allowed_signers require_signed.keyring tls.mode tls.certificate tls.key"
        " proxy.basic_auth run.hostname run.ulimits run.oom_score_adj"
        " run.sysctls"
        " run.no_new_privileges run.cap_add run.cap_drop run.security_opt run.privileged run.devices run.gpus"
        " run.ipc run.pid run.userns run.runtime run.network_aliases run.ip run.ip6 run.mac_address run.labels"
        " run.volume_driver run.log_driver run.log_opts"
        " build.secrets build.frontends build.bases build.timeout build.max_context push.auth_file push.timeout"
        " router.kind router.image router.nodes router.labels swarm.constraints swarm.spread swarm.secret_files swarm.files"
        " retain.build_cache allow"
    )
    assert " ".join(ALLOWABLE) == (
        "publish volumes networks restart domains proxy.routes proxy.canonical proxy.hsts proxy.max_body proxy.timeout"
        " proxy.maintenance run.user run.memory run.memory_swap run.memory_reservation run.cpus run.cpu_shares"
        " run.cpuset run.pids_limit run.shm_size run.tmpfs run.read_only run.group_add build.engine"
        " push.enabled push.tags push.on_reused_version"
        " router.mode router.proxy_protocol router.drain_timeout retain.releases"
    )


@pytest.mark.parametrize("path", [*SERVER_ONLY, *ALLOWABLE])
def test_what_only_the_server_may_set_in_every_spelling(path: str) -> None:
    for text in spellings(path, sample(APP_KEYS[path])):
        (problem,) = problems(text)
        assert problem.startswith(f"{path}: only the server may set it"), text


def test_the_networks_that_gitdeploy_makes_are_no_trees_to_join() -> None:
    assert tree('networks = ["backend"]', "networks").networks == ("backend",)
    assert problems('networks = ["backend", "gitdeploy.other"]', "networks") == [
        'networks: "gitdeploy.other" is a network that gitdeploy makes for one app: only that app is on it'
    ]


@pytest.mark.parametrize("path", SERVER_ONLY)
def test_no_list_hands_these_out(path: str) -> None:
    with pytest.raises(ConfigError, match="allow"):
        server(path)


@pytest.mark.parametrize("path", HARMLESS)
def test_what_a_tree_may_set_in_every_spelling(path: str) -> None:
    config = parse_config(b'[apps."o/app"]\nimage = "6ain/dev-app"', Path("/c.toml"))
    key = APP_KEYS[path]
    for text in spellings(path, sample(key)):
        app = apply_tree(config, config.apps["o/app"], text.encode(), "gitdeploy.toml")
        assert key.kind.parse(sample(key)) == value_of(app, path), text


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("networks", '"backend"'),
        ("restart", '"on-failure"'),
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


def test_no_contradictions_that_only_come_from_another_mistake() -> None:
    assert len(problems('strategy = "rollin"\nreplicas = 2')) == 1
