"""What is right by itself and wrong together: within one app, and between two."""

from __future__ import annotations

import pytest

from tests.config.loading import config, problems

CONTRADICTIONS = [
    ('strategy = "rolling"\npublish = "53:53/udp"', "publish", "HAProxy has no UDP (53:53/udp)"),
    ('strategy = "rolling"\nrouter = "external"\npublish = "80:80"', "publish", "two containers would publish 80:80"),
    ('strategy = "rolling"\nrouter = "external"\npublish = "53:53/udp"', "publish", "two containers would publish 53:53/udp"),
    ('strategy = "canary"\nrouter = "external"', "strategy", "needs gitdeploy's own router"),
    ('replicas = 2\npublish = "80:80"', "replicas", "2 containers cannot share 80:80 without a router"),
    ("router.proxy_protocol = true", "router.proxy_protocol", 'only for router.mode = "tcp"'),
    ('publish = ["80:80", "127.0.0.1:80:81"]', "publish", "80:80 and 127.0.0.1:80:81 take the same port"),
    ('volumes = ["a:/x", "b:/x/:ro"]', "volumes", 'two mounts at "/x"'),
    ("canary.weight = [50, 10]", "canary.weight", "expected ascending steps, found [50, 10]"),
    ('container = "{owner}"', "container", 'the app\'s name gives "o": set container for this app'),
]


@pytest.mark.parametrize(("lines", "key", "text"), CONTRADICTIONS)
def test_contradictions_within_an_app(lines: str, key: str, text: str) -> None:
    (problem,) = problems(f'[apps."o/app"]\n{lines}')
    assert problem.startswith(f'apps."o/app".{key}: ')
    assert text in problem


@pytest.mark.parametrize(
    "lines",
    [
        'strategy = "blue-green"',
        'strategy = "rolling"\nreplicas = 3\npublish = ["80:80", "443:443"]',
        'strategy = "rolling"\nrouter = { kind = "external", labels = { "traefik.enable" = "true" } }',
        'strategy = "recreate"\nrouter = "external"\npublish = "80:80"',
        "replicas = 3",
        'publish = ["53:53/udp", "53:53"]',
        'router = { mode = "tcp", proxy_protocol = true }',
        'volumes = ["a:/x", "a:/y"]',
        'canary.weight = [5, "25%", 100]',
    ],
)
def test_what_is_no_contradiction(lines: str) -> None:
    assert config(f'[apps."o/app"]\n{lines}').apps


CLASHES = [
    ('container = "x1"', 'container = "x1"', '.container: "x1" is already the container of o/one'),
    ('image = "nginx"', 'image = "docker.io/library/nginx"', '.image: "docker.io/library/nginx" is already the image of o/one'),
    ('publish = "80:80"', 'publish = "80:8080"', ".publish: port 80:8080 of the host is already o/one's (80:80)"),
    (
        'publish = "127.0.0.1:80:80"',
        'publish = "80:80"',
        ".publish: port 80:80 of the host is already o/one's (127.0.0.1:80:80)",
    ),
    ('formerly = ["o/two"]', "", '.formerly: "o/two" was the name of o/one, whose containers and images may bear it: choose'),
    ('formerly = ["o/x"]', 'formerly = ["o/x"]', '.formerly: "o/x" was o/one, too: what bears that name can be'),
    ('container = "web"', 'container = "web-router"', '"web-router" is a name that gitdeploy makes for containers of o/one'),
    ('container = "web"', 'container = "web.12.1"', '"web.12.1" is a name that gitdeploy makes for containers of o/one'),
    ('container = "web"', 'container = "web.before-gitdeploy"', "a name that gitdeploy makes for containers of o/one"),
    (
        'container = "a1"\nprocesses.w.command = "x"',
        'container = "a1-w"',
        '.container: "a1-w" is what containers of o/one\'s w are',
    ),
    (
        'container = "a1-w"',
        'container = "a1"\nprocesses.w.command = "x"',
        '.processes.w: "a1-w" is what containers of o/one\'s web',
    ),
    (
        'processes.w = { command = "x", publish = "80:80" }',
        'processes.v = { command = "x", publish = "80:81" }',
        ".processes.v.publish: port 80:81 of the host is already o/one's (80:80)",
    ),
    (
        'container = "a1"\nprocesses.w.command = "x"',
        'container = "a1-w.router"',
        '"a1-w.router" is a name that gitdeploy makes',
    ),
]


@pytest.mark.parametrize(("one", "two", "text"), CLASHES)
def test_what_two_apps_cannot_both_have(one: str, two: str, text: str) -> None:
    (problem,) = problems(f'[apps."o/one"]\n{one}\n[apps."o/two"]\n{two}')
    assert problem.startswith('apps."o/two".')
    assert text in problem


BASE = 'image = "localhost:5000/platform/base"\n'


@pytest.mark.parametrize("base", ["127.0.0.1:5000/platform/base", "box.lan:5000/platform/base"])
@pytest.mark.parametrize("where", ["[defaults.build]", '[apps."o/one".build]'])
def test_a_newcomer_is_not_the_base_image_of_others(where: str, base: str) -> None:
    text = f'{where}\nbases = ["{base}"]\n[apps."platform/base"]\n{BASE}'
    (problem,) = problems(text + "adopt = false")
    assert problem.startswith('apps."platform/base".image: "localhost:5000/platform/base" is the repository of ')
    assert "set adopt = true for this app if it is the one that makes that image" in problem
    assert config(text).apps, "the server listed it"
    assert config(text.replace(BASE, 'image = "localhost:5000/platform/other"\n') + "adopt = false").apps


def test_a_newcomer_may_name_its_own_image_as_a_base() -> None:
    assert config(f'[apps."platform/base"]\n{BASE}adopt = false\nbuild.bases = ["127.1:5000/platform/base"]').apps


def test_a_derived_name_is_found_in_either_order() -> None:
    (problem,) = problems('[apps."o/one"]\ncontainer = "web-router"\n[apps."o/two"]\ncontainer = "web"')
    assert problem.startswith('apps."o/one".container: "web-router" is a name')


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ('publish = "127.0.0.1:80:80"', 'publish = "127.0.0.2:80:80"'),
        ('publish = "53:53"', 'publish = "53:53/udp"'),
        ('container = "web"', 'container = "web-2"'),
        ('container = "web"', 'container = "web.api"'),
        ('volumes = "shared:/x"', 'volumes = "shared:/x"'),
    ],
)
def test_what_two_apps_may_both_have(one: str, two: str) -> None:
    assert config(f'[apps."o/one"]\n{one}\n[apps."o/two"]\n{two}').apps


def test_apps_of_one_name_under_two_owners() -> None:
    assert problems('[apps."a/app"]\n[apps."b/app"]') == ['apps."b/app".container: "app" is already the container of a/app']
    assert config('[defaults]\ncontainer = "{owner}-{repo}"\n[apps."a/app"]\n[apps."b/app"]').apps["b/app"].container == "b-app"


def test_a_writable_volume_is_warned_of_when_releases_overlap() -> None:
    text = '[apps."o/app"]\nstrategy = "rolling"\nvolumes = ["data:/data", "conf:/conf:ro"]'
    (warning,) = config(text).warnings
    assert (
        warning == '/c.toml: apps."o/app": volumes: with strategy "rolling" two releases write to data:/data at the same time'
    )
    assert config(text.replace("rolling", "recreate")).warnings == ()
    assert config(text.replace("data:/data", "data:/data:ro")).warnings == ()


def test_no_contradictions_that_only_come_from_another_mistake() -> None:
    assert len(problems('[apps."o/app"]\nstrategy = "rollin"\nreplicas = 2\npublish = "80:80"')) == 1


@pytest.mark.parametrize(
    "template",
    ["127.0.0.1:5000/{owner}/{repo}", "r.example/{repo}", "localhost/{owner}/{repo}", "6ain/{repo}", "docker.io/6ain/{repo}"],
)
def test_new_repositories_get_names_below_one_that_is_the_servers(template: str) -> None:
    assert config(f'[server]\nnew_repositories = "{template}"').server.new_repositories == template


@pytest.mark.parametrize(
    "template",
    [
        *("{repo}", "{owner}/{repo}", "x-{owner}/{repo}", "{repo}/x", "{owner}.example/{repo}", "library/{repo}"),
        *("docker.io/{repo}", "docker.io/{owner}/{repo}", "docker.io/library/{repo}", "index.docker.io/{owner}/{repo}"),
        *("registry-1.docker.io/{owner}/{repo}", "DOCKER.IO/{owner}/{repo}", "docker.io:443/{owner}/{repo}"),
        *("gitdeploy.local/{owner}/{repo}", "GITDEPLOY.local:5000/{owner}/{repo}", "haproxy"),
    ],
)
def test_new_repositories_get_no_names_that_anybody_can_choose(template: str) -> None:
    (problem,) = problems(f'[server]\nnew_repositories = "{template}"')
    assert "server.new_repositories: expected a registry or an owner of your own" in problem


@pytest.mark.parametrize(
    ("text", "key"),
    [("[defaults.push]\nenabled = false", "defaults.push.enabled"), ('[defaults]\nallow = ["push.enabled"]', "defaults.allow")],
)
def test_new_repositories_need_a_registry(text: str, key: str) -> None:
    config(text)
    (problem,) = problems(f'{text}\n[server]\nnew_repositories = "6ain/{{repo}}"')
    assert f"{key}: " in problem
    assert "need a registry" in problem


@pytest.mark.parametrize("image", ["haproxy", "library/haproxy", "docker.io/haproxy", "index.docker.io/library/haproxy"])
def test_the_routers_image_is_no_apps(image: str) -> None:
    (problem,) = problems(f'[apps."lab/haproxy"]\nimage = "{image}"')
    assert 'is the repository of "haproxy:3.0-alpine"' in problem


@pytest.mark.parametrize("image", ["gitdeploy.local/o/other", "Gitdeploy.Local/o/other", "gitdeploy.local:443/o/other"])
def test_gitdeploys_own_names_are_no_apps(image: str) -> None:
    (problem,) = problems(f'[apps."o/app"]\nimage = "{image}"')
    assert "gitdeploy.local is where gitdeploy keeps names of its own" in problem
