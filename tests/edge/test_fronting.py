"""Which domains an app has now, where they lead, and what is asked for them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.config import snapshot
from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.fronted import fronted
from gitdeploy.config.load import apply_tree, parse_config
from gitdeploy.config.model import App, Config
from gitdeploy.edge.applied import Applied, digest_of_traffic, write_applied
from gitdeploy.edge.boxedge import BoxEdge
from gitdeploy.edge.edgemaps import FIELDS, route_map
from gitdeploy.edge.extra import NEEDED
from gitdeploy.edge.fronting import app_routes, git_route, user_digests, wanted_names
from gitdeploy.edge.route import Route, Rules, Upstream
from gitdeploy.errors import ConfigError, StageFailed
from gitdeploy.releases.state import State
from gitdeploy.targets.upstream import upstreams

HEAD = '[apps."o/r"]\nport = 80\n'


def config(text: str) -> Config:
    return parse_config(text.encode(), Path("/c.toml"))


def pushed(server: Config, tree: str, name: str = "o/r") -> App:
    """What a release has on record that came with this gitdeploy.toml."""
    released = snapshot.load(snapshot.dump(apply_tree(server, server.apps[name], tree.encode(), "gitdeploy.toml")))
    assert released
    return released


def test_domains_are_the_servers_whatever_a_release_came_with() -> None:
    old = config(f'{HEAD}domains = ["old.example.com"]\nproxy.maintenance = true').apps["o/r"]
    assert fronted(config(f'{HEAD}domains = ["new.example.com"]'), old).domains == ("new.example.com",)
    assert fronted(config(HEAD), old).domains == ()
    assert fronted(config(""), old).domains == ()
    assert not fronted(config(f'{HEAD}domains = ["old.example.com"]'), old).proxy.maintenance


def test_where_an_app_answers_is_the_releases() -> None:
    old = config(f'{HEAD}domains = ["a.example.com"]').apps["o/r"]
    assert fronted(config('[apps."o/r"]\nport = 9000\ndomains = ["a.example.com"]'), old).port == 80


def test_a_tree_names_what_it_may_and_its_own_table_does_not() -> None:
    server = config(f'{HEAD}allow = ["domains", "proxy.hsts"]\nproxy.hsts = "1h"')
    released = pushed(server, 'domains = ["tree.example.com"]\nproxy.hsts = "30d"\n')
    now = fronted(server, released)
    assert (now.domains, now.proxy.hsts) == (("tree.example.com",), 3600)
    assert fronted(config(f'{HEAD}domains = ["mine.example.com"]'), released).domains == ("mine.example.com",)
    assert fronted(config(HEAD), released).domains == ()  # it may not any more


TWO = f'{HEAD}allow = ["domains"]\n[apps."o/s"]\nport = 80\nallow = ["domains"]\n'
GIT = '[edge]\ngit = "git.example.com"\ngit_address = "172.17.0.1:3000"\n'


def test_a_tree_takes_no_name_of_others() -> None:
    with pytest.raises(ConfigError, match="Git server's domain"):
        pushed(config(TWO + GIT), 'domains = ["git.example.com"]')
    released = pushed(config(TWO), 'domains = ["git.example.com", "s.example.com", "r.example.com"]')
    later = config(TWO.replace('[apps."o/s"]', '[apps."o/s"]\ndomains = ["s.example.com"]') + GIT)
    assert fronted(later, released).domains == ("r.example.com",)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """An empty one."""
    with State(tmp_path / "state.db") as opened:
        yield opened


def release(state: State, app: App) -> None:
    number = state.enqueue(app.name, app.name, trigger="push", created=1.0)
    state.end(number, "succeeded", finished=1.0, version="1", config=snapshot.dump(app))


def test_two_trees_do_not_have_one_name(state: State, tmp_path: Path) -> None:
    server = config(TWO)
    one, other = (pushed(server, 'domains = ["a.example.com"]', name) for name in ("o/r", "o/s"))
    edge = BoxEdge(tmp_path / "edge", server, state, None, None, upstreams, None, lambda: 0.0, lambda: 0.0)  # type: ignore[arg-type]
    release(state, other)
    with pytest.raises(StageFailed, match=r"a\.example\.com is already a domain of o/s"):
        edge.require_fit(one)
    release(state, one)  # by a rollback
    (route,) = edge.routes(edge.live())
    assert route.upstreams[0].host == "o-r"


def test_what_a_deployment_has_to_do(state: State, tmp_path: Path) -> None:
    def concerned(server: Config, app: App) -> bool:
        edge = BoxEdge(tmp_path, server, state, None, None, upstreams, None, lambda: 0.0, lambda: 0.0)  # type: ignore[arg-type]
        return edge.concerns(app)

    with_domain, without = config(f'{HEAD}domains = ["a.example.com"]'), config(HEAD)
    app, bare = with_domain.apps["o/r"], without.apps["o/r"]
    assert not concerned(without, bare)
    assert concerned(with_domain, app)
    routes = app_routes(with_domain, app, None, upstreams)
    write_applied(tmp_path, Applied(digest_of_traffic(with_domain.edge, routes, [app]), 1.0))
    assert not concerned(with_domain, app)
    assert concerned(with_domain, replace(app, strategy="rolling"))
    assert concerned(without, bare)  # the edge still has its domain
    write_applied(tmp_path, Applied(digest_of_traffic(without.edge, (), [bare]), 1.0))
    assert not concerned(without, bare)


def test_paths_lead_to_processes_and_old_and_new_are_side_by_side() -> None:
    server = config(
        f'{HEAD}domains = ["a.example.com", "b.example.com"]\nproxy.routes = {{ "/api" = "api" }}\n'
        'proxy.canonical = "a.example.com"\nproxy.basic_auth = "/x"\n[apps."o/r".processes.api]\nport = 9000\ncommand = "a"'
    )
    app = server.apps["o/r"]
    routes = {route.key: route for route in app_routes(server, app, None, upstreams)}
    assert sorted(routes) == [f"{name}.example.com/{path}" for name in "ab" for path in ("", "api/")]
    assert [up.server for up in routes["a.example.com/"].upstreams] == [("o-r", 80)]
    assert [up.server for up in routes["b.example.com/api/"].upstreams] == [("o-r-api.router", 7997)]
    rules = [routes[f"{name}.example.com/"].rules for name in "ab"]
    assert [(one.canonical, one.realm, one.acme, one.secure) for one in rules] == [
        ("", "o/r", True, True),
        ("a.example.com", "o/r", True, True),
    ]
    rolling = replace(app, strategy="rolling")
    both = {route.key: route.upstreams for route in app_routes(server, app, rolling, upstreams)}
    assert [up.server for up in both["a.example.com/"]] == [("o-r", 80), ("o-r.router", 7997)]


def test_what_was_released_without_domains_leads_nowhere_yet() -> None:
    before, server = config(HEAD).apps["o/r"], config(f'{HEAD}domains = ["a.example.com"]')
    (route,) = app_routes(server, before, None, upstreams)
    assert (route.domain, route.upstreams) == ("a.example.com", ())
    assert app_routes(server, None, None, upstreams) == ()


def test_a_process_that_the_release_before_lacks() -> None:
    before = config(f'{HEAD}domains = ["a.example.com"]').apps["o/r"]
    api = 'proxy.routes."/api" = "api"\n[apps."o/r".processes.api]\nport = 9\ncommand = "a"'
    server = config(f'{HEAD}domains = ["a.example.com"]\n{api}')
    found = {route.key: len(route.upstreams) for route in app_routes(server, before, None, upstreams)}
    assert found == {"a.example.com/": 1}
    found = {route.key: len(route.upstreams) for route in app_routes(server, before, server.apps["o/r"], upstreams)}
    assert found == {"a.example.com/": 1, "a.example.com/api/": 1}


def test_whose_certificates_are_ordered() -> None:
    text = "".join(
        f'[apps."o/{name}"]\nport = 80\ndomains = ["{name}.example.com"]\n{tls}\n'
        for name, tls in (
            ("a", ""),
            ("i", 'tls = "internal"'),
            ("o", 'tls = "off"'),
            ("f", 'tls.certificate = "/c"\ntls.key = "/k"'),
        )
    )
    server = config(text + GIT)
    apps = server.apps.values()
    assert wanted_names(server, apps, "auto") == ("a.example.com", "git.example.com")
    assert wanted_names(server, apps, "internal") == ("i.example.com",)
    secure = {app.name: app_routes(server, app, None, upstreams)[0].rules for app in apps}
    assert [(secure[f"o/{name}"].secure, secure[f"o/{name}"].acme) for name in "aiof"] == [
        (True, True), (True, False), (False, False), (True, False),
    ]  # fmt: skip


def test_the_git_server() -> None:
    assert git_route(config("")) == ()
    (route,) = git_route(config(GIT))
    assert (route.key, route.upstreams, route.rules.timeout) == ("git.example.com/", (), 86400)
    assert route_map([route], {})["git.example.com/"].startswith("git|1|")


def test_digests_of_users() -> None:
    header = b"Basic " + base64.b64encode("ann:pässword: with a colon".encode())
    assert user_digests({"ann": "pässword: with a colon"}) == (hashlib.sha256(header).hexdigest(),)


def test_what_tells_states_apart(tmp_path: Path) -> None:
    key = tmp_path / "key"
    server = config(f"{HEAD}domains = ['a.example.com']\ntls.certificate = '{key}'\ntls.key = '{key}'")
    app, settings = server.apps["o/r"], EdgeSettings()
    routes = app_routes(server, app, None, upstreams)
    first = digest_of_traffic(settings, routes, [app])
    assert digest_of_traffic(settings, [*routes], [app]) == first
    key.touch()
    assert (
        len({first, digest_of_traffic(settings, routes, [app]), digest_of_traffic(EdgeSettings(email="a@b.c"), routes, [app])})
        == 3
    )
    other = replace(routes[0], rules=replace(routes[0].rules, hsts=1))
    assert digest_of_traffic(settings, [other], [app]) != digest_of_traffic(settings, routes, [app])
    pair = (*routes, other)
    assert digest_of_traffic(settings, pair, [app]) == digest_of_traffic(settings, pair[::-1], [app])


def test_what_the_map_says() -> None:
    upstream = Upstream("n", "shop", 80)
    rules = Rules(True, True, "c.example.com", 60, 10, 1.5, "o/r", True)
    routes = [Route("b.example.com", "/x", (upstream,), rules), Route("a.example.com", "", (), Rules())]
    found = route_map(routes, {3: {2: upstream.server}})
    assert found == {
        "a.example.com/": "away|1||||||||",
        "b.example.com/x/": "r3|1|1|1|c.example.com|max-age=60|10|1500|o/r|1",
    }
    assert {value.count("|") for value in found.values()} == {len(FIELDS) - 1}


@pytest.mark.parametrize(
    "evil", [" ", "\n", "\r", "\t", "\0", "|", "#", '"', "'", "\\", "{", "%[src]", "\x85", "\u2028", "\u00a0", ";", "<<"]
)
def test_no_value_can_break_a_line_of_the_edges_files(evil: str) -> None:
    """Names, paths and addresses reach maps and the configuration; config.toml and trees are checked before."""

    def string(around: str) -> str:
        return '"' + "".join(f"\\u{ord(character):04x}" for character in around.format(f"a{evil}b")) + '"'

    app = {
        "domains": f"[{string('{}.example.com')}]",
        "proxy.canonical": string("{}.example.com"),
        "proxy.routes": f'{{ {string("/{}")} = "web" }}',
    }
    for key, value in app.items():
        text = f'{HEAD}allow = ["{key}"]\n' + ('domains = ["x.example.com"]\n' if key != "domains" else "")
        with pytest.raises(ConfigError, match=key):
            config(f"{text}{key} = {value}")
        with pytest.raises(ConfigError, match=key):
            pushed(config(text), f"{key} = {value}")
    listed = {"listen", "trusted_proxies"}
    for key in ("image", "email", "git", "git_address", *listed):
        value = string("{}:80" if key == "git_address" else "{}.example.com")
        with pytest.raises(ConfigError, match=f"edge.{key}"):
            config(f"[edge]\n{key} = {f'[{value}]' if key in listed else value}")
    with pytest.raises(ConfigError):
        config(f"[apps.{string('o/{}')}]\nport = 80")


def test_the_extra_is_what_pyproject_says() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    least = dict(one.partition(",")[0].split(">=") for one in project["optional-dependencies"]["edge"])
    assert {name: str(version) for name, version in NEEDED.items()} == least
