"""The server's config.toml: layers and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.load import parse_config
from gitdeploy.config.model import App
from gitdeploy.config.problems import MAX_PROBLEMS
from gitdeploy.config.sections import Router
from gitdeploy.errors import ConfigError
from tests.config.loading import FILE, config, problems


def test_an_empty_table_is_an_app() -> None:
    assert config('[apps."DevOps/Dev-App"]').apps == {
        "devops/dev-app": App("devops/dev-app", image="devops/dev-app", container="dev-app")
    }


def test_a_full_table() -> None:
    app = config(
        """
        [apps."devops/dev-app"]
        image = "6ain/dev-app"
        container = "web"
        branch = "main"
        publish = ["8080:80", "127.0.0.1:53:53/udp"]
        env = { GREETING = "hi", PORT = 80 }
        env_file = "/data/gitdeploy/secrets/dev-app.env"
        volumes = ["/srv/data:/data:ro"]
        networks = ["backend"]
        stop_timeout = "1m30s"
        allow = ["publish", "push.tags"]
        build.secrets.npmrc = "/data/npmrc"
        push = { tags = ["{version}"], enabled = false }
        [apps."devops/dev-app".health]
        path = "/health"
        status = 200
        headers.Host = "x.example"
        """
    ).apps["devops/dev-app"]
    assert (app.image, app.container, app.branch) == ("6ain/dev-app", "web", ("main",))
    assert app.publish == (Publish("", 8080, 80), Publish("127.0.0.1", 53, 53, "udp"))
    assert app.env == {"GREETING": "hi", "PORT": "80"}
    assert app.env_file == Path("/data/gitdeploy/secrets/dev-app.env")
    assert app.volumes == (Volume("/srv/data", "/data", True),)
    assert (app.networks, app.stop_timeout, app.allow) == (("backend",), 90.0, ("publish", "push.tags"))
    assert app.build.secrets == {"npmrc": Path("/data/npmrc")}
    assert (app.push.tags, app.push.enabled) == (("{version}",), False)
    assert (app.health.path, app.health.status, app.health.headers) == ("/health", ("200",), {"Host": "x.example"})


def test_the_apps_table_wins_over_defaults_name_by_name() -> None:
    apps = config(
        """
        [server]
        parallel = 4
        log_size = "1MB"
        [notify]
        url = "https://chat.example/x"
        [defaults]
        branch = ["main", "next"]
        image = "127.0.0.1:5000/{owner}/{repo}"
        env = { A = "default", B = "default" }
        build.args.X = "1"
        health.retries = 9
        [apps."o/one"]
        env.B = "one"
        build.args = { Y = "2" }
        [apps."o/two"]
        branch = "trunk"
        health.path = "/"
        """
    )
    one, two = apps.apps["o/one"], apps.apps["o/two"]
    assert (apps.server.parallel, apps.server.log_size, apps.notify.url) == (4, 10**6, "https://chat.example/x")
    assert (one.image, two.image) == ("127.0.0.1:5000/o/one", "127.0.0.1:5000/o/two")
    assert (one.branch, two.branch) == (("main", "next"), ("trunk",))
    assert (one.env, two.env) == ({"A": "default", "B": "one"}, {"A": "default", "B": "default"})
    assert one.build.args == {"X": "1", "Y": "2"}
    assert (two.health.path, two.health.retries) == ("/", 9)


def test_router_as_a_word() -> None:
    assert config('[apps."o/app"]\nrouter = "external"').apps["o/app"].router == Router(kind="external")
    assert problems('[apps."o/app"]\nrouter = "nginx"') == [
        'apps."o/app".router.kind: expected "haproxy" or "external", found "nginx"'
    ]


def test_all_mistakes_at_once() -> None:
    assert problems(
        """
        image = "x"
        [serve]
        [server]
        parallel = "2"
        [defaults]
        branch = 1
        [apps."a/b"]
        strategi = "rolling"
        dockerfile = "x"
        replicas = 99
        publish = ["80:80", "0:1"]
        build = "x"
        [apps."a/b".helth]
        [apps."A/b"]
        [apps.b]
        [apps."c/d"]
        push.enabled = 1
        canary.weigth = 5
        """
    ) == [
        'image: keys of an app belong in [apps."owner/repo"], those of all apps in [defaults]',
        "serve: unknown key; did you mean server?",
        'server.parallel: expected an integer from 1 to 64, found "2"',
        'defaults.branch: expected a branch such as "main" or "release/*", or a full pattern such as "refs/tags/v*", found 1',
        'apps."a/b".strategi: unknown key; did you mean apps."a/b".strategy?',
        'apps."a/b".dockerfile: unknown key; did you mean apps."a/b".build.dockerfile?',
        'apps."a/b".replicas: expected an integer from 1 to 32, found 99',
        'apps."a/b".publish[1]: expected "HOST:CONTAINER", ports from 1 to 65535, such as "8080:80", "127.0.0.1:8080:80"'
        ', "53:53/udp" or "8000-8010:8000-8010", found "0:1"',
        'apps."a/b".build: expected a table, found a string',
        'apps."a/b".helth: unknown key; did you mean apps."a/b".health?',
        'apps."A/b": stands twice, for upper and lower case are the same in a/b',
        'apps.b: expected "owner/repo" as in the repository\'s address, found "b"',
        'apps."c/d".push.enabled: expected true or false, found 1',
        'apps."c/d".canary.weigth: unknown key; did you mean apps."c/d".canary.weight?',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a = [", "not valid TOML: Invalid value (at end of document)"),
        (b"a = 1\na = 2\n", "not valid TOML: Cannot overwrite a value (at line 2, column 6)"),
        (b"a = " + b"9" * 9999, "not valid TOML: a number with too many digits"),
        (b"a = " + b"[" * 9999, "not valid TOML: arrays or tables nested too deep"),
        (b"a = 1\nb = '\xff'", "expected UTF-8, found the byte 0xff in line 2"),
        (b"x" * 1_000_001, "expected at most 1000000 bytes, found 1000001"),
        (b"a = 1\n" + b"a." * 101 + b"a = 1", "expected at most 100 dots in line 2, found 101"),
        (b"apps = 1", "apps: expected a table, found an integer"),
        (b"[[apps]]", "apps: expected a table, found an array"),
        (b"apps.'o/app' = 1", 'apps."o/app": expected a table, found an integer'),
        (b"server = []", "server: expected a table, found an array"),
        (b"defaults = 1979-05-27", "defaults: expected a table, found a date or time"),
    ],
)
def test_what_is_no_config(text: bytes, expected: str) -> None:
    assert expected in problems(text)


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert parse_config(b'\xef\xbb\xbf[apps."o/app"]\r\n', FILE).apps.keys() == {"o/app"}


def test_a_flood_of_mistakes_is_cut() -> None:
    found = problems("[server]\n" + "".join(f"key{n} = 1\n" for n in range(10_000)))
    assert (MAX_PROBLEMS + 1, f"and {10_000 - MAX_PROBLEMS} more") == (len(found), found[-1])


SECRETIVE = [
    'env.TOKEN = ["s3cret"]',
    'env.TOKEN = "s3cret\\u0000"',
    "env = 's3cret'",
    'build.args.TOKEN = { a = "s3cret" }',
    'health.headers.Authorization = "s3cret\'"',
    'router.labels."traefik.http.middlewares.auth.basicauth.users" = "s3cret\\u001b"',
]


@pytest.mark.parametrize("line", SECRETIVE)
def test_a_value_that_may_be_secret_is_not_shown(line: str) -> None:
    (problem,) = problems(f'[apps."o/app"]\n{line}')
    assert "s3cret" not in problem
    assert "TOKEN" in problem or "TOKEN" not in line


def test_the_address_for_notifications_is_not_shown() -> None:
    assert problems('[notify]\nurl = "ftp://s3cret"') == [
        'notify.url: expected an address that begins with "https://" or "http://", found a string'
    ]


def test_no_secret_in_a_traceback() -> None:
    keys = "\n".join(f'{key}.A = "s3cret"' for key in ("env", "build.args", "health.headers", "router.labels"))
    loaded = config(f'[notify]\nurl = "https://s3cret"\n[apps."o/app"]\n{keys}')
    assert loaded.apps["o/app"].env["A"] == "s3cret"
    assert "s3cret" not in repr(loaded)


def test_only_known_keys_can_be_allowed() -> None:
    (problem,) = problems('[apps."o/app"]\nallow = ["publish", "build.secrets"]')
    assert problem.startswith('apps."o/app".allow[1]: expected "publish", "volumes", "networks", ')
    assert problem.endswith(', found "build.secrets"')


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_give_a_traceback(data: bytes) -> None:
    try:
        parse_config(data, FILE)
    except ConfigError as error:
        assert error.problems
