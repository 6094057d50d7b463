"""Image references: their parts, and which spellings are of one repository."""

from __future__ import annotations

import time

import pytest

from gitdeploy.config.imagereference import Reference, image_key, is_in, parse, registry, same_repository, split

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
HAPROXY += ("docker.io:443/library/haproxy", f"haproxy@{DIGEST}", f"haproxy:3.0@{DIGEST}", "haproxy:3.0-alpine")


@pytest.mark.parametrize("spelling", HAPROXY)
def test_spellings_of_one_repository(spelling: str) -> None:
    assert image_key(spelling) == "docker.io/library/haproxy"
    assert same_repository(spelling, "haproxy")


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
