"""Domains in config.toml: one clear error for each thing that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.config.load import apply_tree, parse_config
from gitdeploy.config.model import App, Config
from gitdeploy.errors import ConfigError
from tests.config.tree import problems, tree

SHOP = 'domains = ["shop.example.com"]\nport = 80\n'


def config(text: str) -> Config:
    return parse_config(text.encode(), Path("/c.toml"))


def app(text: str) -> App:
    return config(f'[apps."o/r"]\n{text}').apps["o/r"]


def wrong(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config(text)
    (problem,) = caught.value.problems
    return problem.removeprefix("/c.toml: ").removeprefix('apps."o/r".')


def test_where_domains_lead() -> None:
    assert app("port = 80").led_to == 0
    assert app(SHOP).led_to == 80
    assert app('domains = ["a.b"]\npublish = ["5353:53/udp", "8080:3000"]').led_to == 3000
    whole = app(f'{SHOP}proxy.routes = {{ "/api" = "api" }}\n[apps."o/r".processes]\napi.port = 9000\nworker.command = "w"')
    assert [whole.of_process(name).led_to for name in ("api", "worker")] == [9000, 0]
    assert app('tls = "internal"').tls.mode == "internal"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('domains = ["shop.example.com"]', "domains: the app publishes nothing that they could lead to"),
        ('port = 80\ndomains = ["a.example.com", "a.example.com"]', "domains[1]: expected each item once"),
        ('port = 80\ndomains = ["192.0.2.7"]', "domains[0]: expected a domain in lower case"),
        ('port = 80\ndomains = ["[2001:db8::1]"]', "no address: publish a port for that"),
        ('port = 80\ndomains = ["Shop.example.com"]', 'found "Shop.example.com"'),
        ('port = 80\ndomains = ["가게.example.com"]', 'its form in DNS, "xn--…"'),
        ('port = 80\ndomains = ["shop.example.com:443"]', "expected a domain in lower case"),
        ('port = 80\ndomains = ["shop.example.com/a"]', "expected a domain in lower case"),
        ('port = 80\ndomains = ["*.example.com"]', 'domains: "*.example.com": an authority gives no certificate'),
        (f"{SHOP}tls.certificate = '/a.pem'", "tls.key: expected both certificate and key"),
        (f"{SHOP}tls.key = '/a.pem'", "tls.certificate: expected both certificate and key"),
        (f'{SHOP}proxy.routes = {{ "/api" = "api" }}', 'proxy.routes: /api: the app has no process "api"'),
        (
            f'{SHOP}proxy.routes = {{ "/api" = "ap" }}\n[apps."o/r".processes.api]\nport = 1',
            'the app has no process "ap"; did you mean "api"?',
        ),
        (
            f'{SHOP}proxy.routes = {{ "/api" = "api" }}\n[apps."o/r".processes.api]\ncommand = "a"',
            "proxy.routes: /api: process api publishes nothing",
        ),
        (f'{SHOP}proxy.routes = {{ "/api/" = "web" }}', "proxy.routes"),
        (f'{SHOP}proxy.canonical = "www.example.com"', "proxy.canonical: expected one of domains"),
        (f'{SHOP}router.mode = "tcp"', "router.mode: domains are told apart by HTTP"),
        (f'{SHOP}strategy = "rolling"\nrouter = "external"', 'domains: with router = "external"'),
        (f'{SHOP}target = "swarm"', "strategy: domains lead to a router on a cluster"),
        (
            f'{SHOP}target = "swarm"\nstrategy = "rolling"\nrouter.nodes = "entry==yes"',
            "router.nodes: domains lead to the router",
        ),
        ('container = "gitdeploy.edge.0"', 'container: "gitdeploy.edge.0" is what the edge\'s own container is called'),
        (f"{SHOP}replicas = 2", "replicas: 2 containers cannot share port 80"),
    ],
)
def test_what_cannot_be_in_one_app(text: str, expected: str) -> None:
    assert expected in wrong(f'[apps."o/r"]\n{text}')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'[apps."o/r"]\n{SHOP}[apps."o/s"]\n{SHOP}', 'apps."o/s".domains: "shop.example.com" is already a domain of o/r'),
        (f'[apps."o/r"]\n{SHOP}[apps."o/s"]\npublish = ["443:80"]', "port 443:80 is the edge's"),
        (f'[apps."o/r"]\n{SHOP}[edge]\nhttp_port = 443', "edge.https_port: expected another port"),
        (f'[apps."o/r"]\n{SHOP}[edge]\ngit = "git.example.com"', "edge.git_address: expected both"),
        (
            f'[apps."o/r"]\n{SHOP}[edge]\ngit = "shop.example.com"\ngit_address = "a:3000"',
            'edge.git: "shop.example.com" is already a domain of o/r',
        ),
        ("[edge]\nproxy_protocol = true", "edge.proxy_protocol: expected trusted_proxies"),
        ('[edge]\ntrusted_proxies = ["10.0.0.1/8"]', 'edge.trusted_proxies[0]: expected a network such as "10.0.0.0/8"'),
        ('[edge]\neab_id = "a"', "edge.eab_key: expected both eab_id and eab_key"),
        ('[edge]\nlisten = ["localhost"]', "edge.listen[0]: expected an address of this machine"),
    ],
)
def test_what_cannot_be_side_by_side(text: str, expected: str) -> None:
    assert expected in wrong(text)


def test_ports_are_free_for_apps_where_nothing_has_a_domain() -> None:
    assert config('[apps."o/r"]\npublish = ["80:80", "443:443"]').apps["o/r"].domains == ()


def test_a_tree_has_no_domain_but_those_that_the_server_hands_out() -> None:
    assert "only the server may set it" in problems(SHOP)[0]
    assert tree(SHOP, "domains").domains == ("shop.example.com",)


def test_no_tree_joins_the_network_of_the_edge() -> None:
    assert '"gitdeploy" is a network that gitdeploy makes' in problems('networks = ["gitdeploy"]', "networks")[0]


def test_a_tree_takes_neither_a_port_of_the_edge_nor_the_git_servers_name() -> None:
    served = config('[apps."o/r"]\nport = 80\nallow = ["domains", "publish"]\n[edge]\ngit = "git.a.b"\ngit_address = "h:80"')
    for text, expected in (
        ('domains = ["git.a.b"]', "the Git server's domain"),
        ('publish = ["80:80"]', "port 80:80 is the edge's"),
    ):
        with pytest.raises(ConfigError, match=expected):
            apply_tree(served, served.apps["o/r"], text.encode(), "gitdeploy.toml")
