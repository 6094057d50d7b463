"""`config show`, the reference, and the table of keys that both come from."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.edgekeys import EDGE_KEYS
from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.jobs import Task
from gitdeploy.config.keys import APP_KEYS, NOTIFY_KEYS, SERVER_KEYS
from gitdeploy.config.layers import BUILT_IN
from gitdeploy.config.load import parse_config
from gitdeploy.config.model import App, AppProcess
from gitdeploy.config.partkeys import PARTS
from gitdeploy.config.reference import reference
from gitdeploy.config.sections import Notify, Server
from gitdeploy.config.show import show
from gitdeploy.config.writer import dump_key, dump_tables, dump_value

FULL = b"""
[apps."devops/dev-app"]
image = "6ain/dev-app"
publish = ["8080:80", "[::1]:8081:80", "53:53/udp"]
volumes = ["/srv/x:/x:ro", "data:/y"]
env_file = "/data/gitdeploy/secrets/dev-app.env"
stop_timeout = "1m30s"
allow = "publish"
build = { dockerfile = "docker/Dockerfile", secrets = { npmrc = "/data/npmrc" }, timeout = "10m" }
push = { tags = ["{version}"], auth_file = "/data/auth.json" }
canary = { weight = [5, 50], max_5xx_rate = "2%" }
health = { status = [200, "300-399"], interval = "50ms" }
retain.build_cache = "1GiB"
"""
SECRETS = b"""
env = { TOKEN = "s3cret", "a.b" = "s3cret" }
build.args.KEY = "s3cret"
health.headers.Authorization = "s3cret"
router.labels."traefik.http.middlewares.a.basicauth.users" = "s3cret"
"""


def load(text: bytes | str) -> App:
    config = parse_config(text if isinstance(text, bytes) else text.encode(), Path("/c.toml"))
    return config.apps["devops/dev-app"]


@pytest.mark.parametrize("text", [FULL, b'[apps."devops/dev-app"]'])
def test_what_is_shown_says_the_same_in_config_toml(text: bytes) -> None:
    assert load(text) == load(show(load(text)))


def test_secrets_are_not_shown_and_their_names_are() -> None:
    text = show(load(b'[apps."devops/dev-app"]' + SECRETS))
    assert "s3cret" not in text
    shown = tomllib.loads(text)["apps"]["devops/dev-app"]
    assert shown["env"] == {"TOKEN": "…", "a.b": "…"}
    assert shown["build"]["args"] == {"KEY": "…"}
    assert shown["health"]["headers"] == {"Authorization": "…"}
    assert shown["router"]["labels"] == {"traefik.http.middlewares.a.basicauth.users": "…"}


def test_paths_of_secret_files_are_shown() -> None:
    shown = tomllib.loads(show(load(FULL)))["apps"]["devops/dev-app"]
    assert shown["env_file"] == "/data/gitdeploy/secrets/dev-app.env"
    assert shown["build"]["secrets"] == {"npmrc": "/data/npmrc"}
    assert shown["push"]["auth_file"] == "/data/auth.json"


def test_the_reference_holds_the_built_in_defaults() -> None:
    config = parse_config(reference().encode(), Path("/c.toml"))
    assert (config.server, config.notify, config.edge) == (Server(), Notify(), EdgeSettings())
    assert config.apps == {"devops/dev-app": App("devops/dev-app", "devops/dev-app", "dev-app")}
    assert dict(config.defaults) == {}


def test_the_examples_in_the_reference_are_right() -> None:
    text = re.sub(r"^# (?=\w+ = |\[)", "", reference(), flags=re.MULTILINE)
    web, _, worker = text.rpartition('"8080:80"')  # two processes cannot have one port
    config = parse_config(f'{web}"8081:80"{worker}'.encode(), Path("/c.toml"))
    own, part = APP_KEYS.keys(), [path for path in config.tables["devops/dev-app"] if path.partition(".")[0] in PARTS]
    assert config.tables["devops/dev-app"].keys() - part == own
    assert {path.split(".", 2)[2] for path in part} == {
        path for keys in PARTS.values() for path in keys if "." not in path or path == "run.command"
    }
    assert config.notify.url
    assert config.defaults["image"] == "127.0.0.1:5000/{owner}/{repo}"


def test_the_reference_explains_every_key() -> None:
    lines = [line for line in reference().splitlines() if re.match(r"(# )?\w+ = ", line)]
    parts = [path for keys in PARTS.values() for path in keys if "." not in path or path == "run.command"]
    assert len(lines) == len(APP_KEYS) + len(SERVER_KEYS) + len(NOTIFY_KEYS) + len(EDGE_KEYS) + len(parts) + 1
    documented = [key.doc for keys in (APP_KEYS, SERVER_KEYS, NOTIFY_KEYS, EDGE_KEYS) for key in keys.values()]
    assert all(any(line.endswith(doc) for line in lines) for doc in documented)
    assert max(len(line) for line in reference().splitlines()) < 130


def paths(record: object) -> set[str]:
    """The key paths of a dataclass and of those in it."""
    found = set()
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        found |= {f"{field.name}.{path}" for path in paths(value)} if is_dataclass(value) else {field.name}
    return found


def test_every_field_of_the_model_is_a_key() -> None:
    assert paths(BUILT_IN) - {"name", "process", *PARTS} == APP_KEYS.keys()
    assert paths(AppProcess()) == PARTS["processes"].keys()
    assert paths(Task()) == PARTS["tasks"].keys()
    assert paths(Server()) == SERVER_KEYS.keys()
    assert paths(Notify()) == NOTIFY_KEYS.keys()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.recursive(
        TEXT | st.booleans() | st.integers() | st.floats(allow_nan=False), lambda v: st.lists(v) | st.dictionaries(TEXT, v)
    )
)
def test_any_value_is_written_as_it_is_read(value: object) -> None:
    assert tomllib.loads(f"x = {dump_value(value)}") == {"x": value}


@given(st.lists(TEXT, min_size=1, max_size=3))
def test_any_key_is_written_as_it_is_read(path: list[str]) -> None:
    found = tomllib.loads(f"{dump_key(path)} = 0")
    for part in path:
        found = found[part]
    assert found == 0


def test_tables() -> None:
    assert dump_tables({"a": {"x": "1", "b.c": {"y": [1]}}}) == '[a]\nx = "1"\n\n[a."b.c"]\ny = [1]\n'
