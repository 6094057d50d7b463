"""Which app is in which backend: what is there stays, and commands lead from what is there to what is wanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.edge import pem
from gitdeploy.edge.backends import NOWHERE, UNUSED, additions, assigned, found_in, removals, up_in
from gitdeploy.edge.edgecfg import PLACES, addressed
from gitdeploy.edge.edgemaps import CRT_LIST, Backends, certificate_line, path_of
from gitdeploy.edge.route import Route, Rules, ServedCertificate, Upstream
from gitdeploy.edge.servedcertificates import certificate_commands, listed_in, stale_commands

NAMES = [f"app-{number}" for number in range(12)]


def led(*apps: str, domain: str = "a.example.com") -> Route:
    return Route(domain, "", tuple(Upstream("net", app, 80) for app in apps), Rules())


def servers(*apps: str) -> dict[int, tuple[str, int]]:
    return {place: (app, 80) for place, app in enumerate(apps, 1) if app}


def test_who_stays_stays_where_he_is() -> None:
    now = {1: servers("a"), 2: servers("", "b"), 5: servers("c")}
    assert assigned(now, [led("c"), led("b"), led("new")]) == {5: servers("c"), 2: servers("", "b"), 3: servers("new")}
    assert assigned(now, []) == {}


def test_a_move_takes_the_other_place_and_leaves_the_first() -> None:
    first = assigned({}, [led("old")])
    both = assigned(first, [led("old", "new")])
    assert both == {1: servers("old", "new")}
    last = assigned(both, [led("new")])
    assert last == {1: servers("", "new")}
    assert assigned(last, [led("new", "newer")]) == {1: servers("newer", "new")}


def test_what_goes_is_kept_for_a_moment() -> None:
    """A third one within a backend takes the place that is free, not that of one that has just gone."""
    assert assigned({1: servers("gone")}, [led("new")]) == {2: servers("new")}
    assert assigned({1: servers("gone", "stays")}, [led("stays", "new")]) == {1: servers("new", "stays")}


def test_routes_that_share_an_upstream_share_a_backend() -> None:
    assert assigned({}, [led("a"), led("b"), led("b", "a")]) == {1: servers("a", "b")}
    assert assigned({1: servers("a"), 2: servers("b")}, [led("a", "b")]) == {1: servers("a", "b")}


ROUTES = st.lists(st.lists(st.sampled_from(NAMES), max_size=2, unique=True), max_size=8)


@st.composite
def apart(draw: st.DrawFn) -> list[Route]:
    """Routes of apps as there are: each one's own router or container, two while it moves."""
    names = draw(st.permutations(NAMES))
    sizes = draw(st.lists(st.integers(0, 2), max_size=6))
    routes = []
    for number, size in enumerate(sizes):
        mine, names = names[:size], names[size:]
        routes += [led(*mine, domain=f"d{number}.example.com"), led(*mine, domain=f"e{number}.example.com")]
    return routes


@given(st.lists(apart(), min_size=1, max_size=5))
def test_no_two_apps_are_ever_in_one_backend(steps: list[list[Route]]) -> None:
    now: Backends = {}
    for routes in steps:
        wanted = assigned(now, routes)
        groups = {frozenset(up.server for up in route.upstreams) for route in routes if route.upstreams}
        assert {frozenset(found.values()) for found in wanted.values()} == groups
        assert len(wanted) == len(groups)
        places = [(number, place) for number, found in wanted.items() for place in found]
        assert all(1 <= place <= PLACES and number >= 1 for number, place in places)
        was = {server: (number, place) for number, found in now.items() for place, server in found.items()}
        for number, found in wanted.items():
            for place, server in found.items():
                if was.get(server, (0, 0))[0] == number:
                    assert was[server] == (number, place)
        played = dict.fromkeys((n, p) for n in range(1, 40) for p in range(1, PLACES + 1))
        for n, found in now.items():
            played.update({(n, place): server for place, server in found.items()})
        _play(played, [*additions(now, wanted), *removals(now, wanted)])
        assert {key: server for key, server in played.items() if server} == {
            (number, place): server for number, found in wanted.items() for place, server in found.items()
        }
        now = wanted


def _play(played: dict[tuple[int, int], tuple[str, int] | None], commands: list[str]) -> None:
    """Do what HAProxy does with these commands."""
    port = 0
    for command in commands:
        words = command.split()
        backend, place = words[2].split("/")
        key = int(backend[1:]), int(place[1:])
        if words[3] == "addr":
            assert words[4] == NOWHERE
            port = int(words[6])
        elif words[3] == "fqdn":
            played[key] = None if words[4] == UNUSED else (words[4], port)


STATES = f"""\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_fqdn srv_port
3 r1 1 s1 172.20.0.2 2 64 shop 80
3 r1 2 s2 127.0.0.1 0 5 - 1
4 r2 1 s1 {NOWHERE} 0 64 blog 81
4 r2 2 s2 172.20.0.9 2 1 {UNUSED} 80
5 git 1 git 172.17.0.1 2 0 - 3000
"""


def test_what_haproxy_says_of_its_servers() -> None:
    assert found_in(STATES) == {1: {1: ("shop", 80)}, 2: {1: ("blog", 81)}}
    up = up_in(STATES)
    assert up["shop", 80] == "172.20.0.2"
    assert ("blog", 81) not in up
    assert found_in("") == {}
    file = b"backend r1\n    server s1 shop:80\n    server s2 blog:81\n"
    assert addressed(file, up) == b"backend r1\n    server s1 shop:80 init-addr 172.20.0.2,none\n    server s2 blog:81\n"


def certificate(*names: str) -> ServedCertificate:
    made = pem.self_made(names or ("x.example.com",), 1_790_000_000.0)
    return ServedCertificate(names, made.fingerprint, made.pem)


def test_certificates_are_loaded_before_they_are_listed_and_go_after_that() -> None:
    first, shop = certificate(), certificate("shop.example.com")
    paths = [certificate_line(one).split()[0] for one in (first, shop)]
    new = list(certificate_commands([first, shop], [paths[0]]))
    assert [command.split("\n")[0] for command in new] == [
        f"new ssl cert {paths[1]}",
        f"set ssl cert {paths[1]} <<",
        f"commit ssl cert {paths[1]}",
        f"add ssl crt-list {path_of(CRT_LIST)} <<",
    ]
    assert new[-1].split("\n")[1] == f"{paths[1]} shop.example.com"
    assert "\n\n" not in new[1][:-1]  # an empty line would end it too early
    assert list(certificate_commands([first, shop], paths)) == []
    renewed = certificate("shop.example.com")
    assert certificate_line(renewed) != certificate_line(shop)
    assert len(list(certificate_commands([first, renewed], paths))) == 4
    assert list(stale_commands([first], paths)) == [
        f"del ssl crt-list {path_of(CRT_LIST)} {paths[1]}",
        f"del ssl cert {paths[1]}",
    ]


def test_what_haproxy_says_of_certificates() -> None:
    assert listed_in("# /etc/gitdeploy-edge.crt\n/etc/a.pem\n/etc/b.pem shop.example.com\n") == ["/etc/a.pem", "/etc/b.pem"]
