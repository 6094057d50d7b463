"""Image references: their parts, and which spellings are of one repository."""

from __future__ import annotations

import time

import pytest

from gitdeploy.config.imagereference import Reference, image_key, is_in, parse, path_key, registry, same_repository, split

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nginx", Reference("", "nginx")),
        ("nginx:1", Reference("", "nginx", "1")),
        ("registry:5000/a/b__c:x_Y.z-1", Reference("registry:5000", "a/b__c", "x_Y.z-1")),
        ("127.0.0.1:5000/x", Reference("127.0.0.1:5000", "x")),
        (f"127.0.0.1:5000/x@{DIGEST}", Reference("127.0.0.1:5000", "x", "", DIGEST)),
        (f"localhost/x:1@{DIGEST}", Reference("localhost", "x", "1", DIGEST)),
        ("[::1]:5000/x", Reference("[::1]:5000", "x")),
        ("R.Example/x", Reference("R.Example", "x")),
        *(
            (text, None)
            for text in ("", ":", "x:", "X", "x/Y", f"x@{DIGEST[:-1]}", DIGEST, "-r.example/x", "r.example./x", "a//b")
        ),
        *((text, None) for text in ("a___b", "a_.b", "a.-b", "a..b", "-a", "a-", "x:.1", "x y", "x\n", "x:" + "1" * 129)),
    ],
)
def test_parts(text: str, parts: Reference | None) -> None:
    assert parse(text) == parts


HAPROXY = ("haproxy", "library/haproxy", "docker.io/haproxy", "docker.io/library/haproxy", "index.docker.io/haproxy")
HAPROXY += ("index.docker.io/library/haproxy", "registry-1.docker.io/library/haproxy", "DOCKER.IO/library/haproxy")
HAPROXY += ("registry.hub.docker.com/library/haproxy", "docker.io:0443/library/haproxy")
HAPROXY += ("docker.io:443/library/haproxy", f"haproxy@{DIGEST}", f"haproxy:3.0@{DIGEST}", "haproxy:3.0-alpine")


@pytest.mark.parametrize("spelling", HAPROXY)
def test_spellings_of_one_repository(spelling: str) -> None:
    assert image_key(spelling) == "docker.io/library/haproxy"
    assert same_repository(spelling, "haproxy")


LOCAL = ("localhost", "LOCALHOST", "127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "0177.0.0.1", "0127.0.0.1", "0x7f.0.0.1")
LOCAL += ("2130706433", "0x7F000001", "0", "0.0.0.0", "[::1]", "[0:0::1]", "[::]", "[::ffff:7f00:1]", "[::FFFF:7f00:2]")
LOCAL += ("registry.localhost", "localhost.localdomain", "ip6-localhost", "localhost6")


@pytest.mark.parametrize("host", LOCAL)
@pytest.mark.parametrize("port", ["5000", "05000"])
def test_spellings_of_this_machine(host: str, port: str) -> None:
    assert image_key(f"{host}:{port}/o/x:1") == "localhost:5000/o/x"
    assert image_key("localhost:5000/o/x") == "localhost:5000/o/x"


@pytest.mark.parametrize("host", ["10.0.0.1", "1270.0.0.1", "127.0.0.1.nip.io", "notlocalhost.example", "127", "[fe80::1]"])
def test_what_is_not_this_machine(host: str) -> None:
    assert image_key(f"{host}:5000/o/x") not in ("", "localhost:5000/o/x")


def test_paths() -> None:
    paths = [path_key(image) for image in ("nginx:1", "localhost:1/library/nginx", "r.example/nginx", "X")]
    assert paths == ["library/nginx", "library/nginx", "nginx", ""]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("6ain/dev-app", "registry:5000/6ain/dev-app"),
        ("localhost/x", "docker.io/localhost/x"),
        ("a/x", "b/x"),
        ("r.example/haproxy", "haproxy"),
        ("r.example:5000/x", "r.example/x"),
        ("library/x/y", "x/y"),
        (DIGEST, DIGEST),  # ids are no names
        ("", ""),
    ],
)
def test_different_repositories(one: str, other: str) -> None:
    assert not same_repository(one, other)


def test_a_digest_is_not_cut_at_its_colon() -> None:
    assert split(f"r.example:5000/x@{DIGEST}") == ("r.example:5000/x", DIGEST)
    assert registry(f"r.example:5000/x@{DIGEST}") == "r.example:5000"


@pytest.mark.parametrize("image", ["gitdeploy.local/x", "GitDeploy.Local/x", "gitdeploy.local:5000/x", "gitdeploy.local:/x"])
def test_every_spelling_of_a_host(image: str) -> None:
    assert is_in(image, "gitdeploy.local")
    assert not is_in(f"x/{image}", "gitdeploy.local")


@pytest.mark.parametrize("unit", ["a", "a.", "a-", "a_", "A.", "a/", "[", "a:", "1.", "-"])
def test_reading_takes_no_time_whatever_is_read(unit: str) -> None:
    begun = time.perf_counter()
    for length in (500, 599, 100_000):
        parse(unit * (length // len(unit)))
        parse(unit * (length // len(unit)) + "!")
    assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize("port", ["1", "80", "5000", "65535", "065535"])
def test_a_port_that_there_can_be(port: str) -> None:
    assert parse(f"127.0.0.1:{port}/app") is not None


@pytest.mark.parametrize("port", ["65536", "66000", "70000", "99999", "100000"])
def test_a_port_that_there_cannot_be(port: str) -> None:
    assert parse(f"127.0.0.1:{port}/app") is None
