"""Images, names, paths, refs, tags: what is taken and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.config import formats
from gitdeploy.config.problems import BadValue

DIGEST = "sha256:" + "0" * 64

TAKEN = {
    "APP_NAME": ["devops/dev-app", "a/b", "0/_x", "o.r_g/r.git2"],
    "IMAGE": [
        "nginx",
        "6ain/dev-app",
        "127.0.0.1:5000/dev-app",
        "localhost/x",
        "registry:5000/a/b__c",
        "r.example/a--b",
        "[::1]:5000/x",
    ],
    "IMAGE_WITH_TAG": ["haproxy:3.0-alpine", "r.example:5000/x:1", f"x@{DIGEST}", f"x:1@{DIGEST}", "x"],
    "CONTAINER": ["dev-app", "A1", "a" * 63, "web.api_2"],
    "NETWORK": ["backend", "hosted", "b"],
    "RESTART": ["no", "always", "unless-stopped", "on-failure", "on-failure:5"],
    "NAME": ["GREETING", "_x", "spring.datasource-url"],
    "SECRET_ID": ["npmrc", "id_rsa", "0"],
    "STAGE": ["", "runtime", "0"],
    "LABEL": ["traefik.http.routers.dev-app.rule", "a", "caddy_0.reverse/x"],
    "HOST": ["", "apps.example", "10.0.0.1", "[::1]", "box"],
    "URL": ["", "https://chat.example/hook?x=1", "http://127.0.0.1:1"],
    "HTTP_PATH": ["", "/", "/health?full=1&x=%20"],
    "HEADER": ["Host", "X-Forwarded-Proto"],
    "HEADER_VALUE": ["app.example", "Basic YTpi=", "", "text/html; q=1, */*"],
    "TAG_TEMPLATE": ["{version}", "latest", "{branch}-{commit}", "v{version}"],
    "BRANCH": ["main", "release/*", "refs/heads/main", "refs/tags/v*", "feature-[0-9]?", "ünï"],
    "PATH": ["/etc/x", "/data/gitdeploy/secrets/a b"],
    "TREE_PATH": ["Dockerfile", "docker/Dockerfile", "./x", "a..b/c", ".", "..."],
    "STATUS": [200, "200", "200-399"],
    "WEIGHT": [1, 100, "10", "10%"],
}

REFUSED = {
    "APP_NAME": [
        "",
        "a",
        "a/",
        "/b",
        "a/b/c",
        "../x",
        "a/..",
        "a/b..c",
        ".a/b",
        "a/.b",
        "A/b",
        "a/b.git",
        "a /b",
        "a/b\n",
        "é/b",
    ],
    "IMAGE": [
        "",
        "x:1",
        f"x@{DIGEST}",
        "UPPER/x",
        "x/UPPER",
        "-x",
        "x-",
        "a//b",
        "x y",
        "r.example:/x",
        "../x",
        "x\n",
        "a" * 256,
    ],
    "IMAGE_WITH_TAG": ["", "x:", "x@sha256:0", "x:-a", "X:1", "x y"],
    "CONTAINER": ["", "a", "-ab", "a b", "a/b", "a" * 64, "ab\n", "é2"],
    "NETWORK": ["", "host", "none", "default", "container:x", "-a", "a b"],
    "RESTART": ["", "on-failure:0", "on-failure:99999", "Always", "never"],
    "NAME": ["", "1A", "A B", "A=B", "A\n", "É"],
    "SECRET_ID": ["", "a/b", "../x", "a,b"],
    "STAGE": ["-x", "a b", "a\n"],
    "LABEL": ["", "gitdeploy.app", "a=b", "a b", "-x"],
    "HOST": ["-x", "a b", "x/", "x\n", "a@b"],
    "URL": ["ftp://x", "https://", "https://a b", "https://x\n", "javascript:alert(1)"],
    "HTTP_PATH": ["health", "/a b", "/a\r\nX: y", '/"', "/#x", "/$HOME", "/\\", "http://x/", "/é"],
    "HEADER": ["", "A B", "A:", "A\r\n", "1"],
    "HEADER_VALUE": ['"', "a\r\nb", "%[env(X)]", "$X", "\\", "'", "é", "\t"],
    "TAG_TEMPLATE": ["", "-x", ".x", "{other}", "{version", "a/b", "a b", "{version!r}", "x" * 129],
    "BRANCH": [
        "",
        "-x",
        "/x",
        "x/",
        "a..b",
        "a b",
        "a\n",
        "a~1",
        "a^",
        "a:b",
        "a\\b",
        "a@{0}",
        "x.lock",
        "refs/pull/*",
        "refs/*",
        "refs/",
    ],
    "PATH": ["", "x", "./x", "~/x", "/a/../b", "/a\0", "/a\n", "/a\x1b", "/" + "a" * 4096],
    "TREE_PATH": ["/etc/passwd", "..", "../x", "a/../../x", "a/..", "a\0", "a\n", "a" * 4097],
    "STATUS": [99, 600, "2xx", "399-200", "200-", True, 10**400, "200 "],
    "WEIGHT": [0, 101, "0", "101%", "10%%", True, 1.5, "", "-1", 10**400],
}


def cases(table: dict[str, list[object]]) -> list[object]:
    return [pytest.param(name, value, id=f"{name} {str(value)[:30]!r}") for name, values in table.items() for value in values]


def test_every_kind_has_both() -> None:
    assert TAKEN.keys() == REFUSED.keys()


@pytest.mark.parametrize(("name", "value"), cases(TAKEN))
def test_taken(name: str, value: object) -> None:
    kind = getattr(formats, name)
    parsed = kind.parse(value)
    assert parsed == kind.parse(kind.format(parsed)), "what is written must be read as the same"


@pytest.mark.parametrize(("name", "value"), cases({name: [*values, 1.5, None, [], {}] for name, values in REFUSED.items()}))
def test_refused(name: str, value: object) -> None:
    with pytest.raises(BadValue) as caught:
        getattr(formats, name).parse(value)
    assert caught.value.expected


def test_names_to_fill_in() -> None:
    kind = formats.templated(formats.IMAGE, "r/{repo}")
    assert kind.parse("r.example/{owner}/{repo}") == "r.example/{owner}/{repo}"
    assert formats.fill_in("r.example/{owner}/{repo}", "devops/dev-app") == "r.example/devops/dev-app"
    for wrong in ("{other}/x", "{owner", "r.example/{repo}:1", 1):
        with pytest.raises(BadValue, match="an image in lower case without a tag"):
            kind.parse(wrong)


def test_tree_paths_are_normal() -> None:
    assert formats.TREE_PATH.parse("./docker//Dockerfile") == "docker/Dockerfile"
    assert formats.TREE_PATH.parse("./") == "."
    assert formats.PATH.parse("/a/b") == Path("/a/b")
