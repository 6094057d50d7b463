"""One engine, several apps: none gets what another's build left in the cache, and each gets its own."""

from __future__ import annotations

import uuid

import pytest

from gitdeploy.engine.buildkit import query
from gitdeploy.engine.types import BuildRequest
from tests.support.builder import Builder
from tests.support.params import sample

ONE, OTHER = "1" * 32, "2" * 32
CANARY = b"canary-of-one"
SHOW = "echo [$(cat /made)]"


def unique() -> str:
    """Something that no cache knows."""
    return uuid.uuid4().hex


def cached(lines: list[str]) -> int:
    return sum("] RUN " in line and line.endswith("· CACHED") for line in lines)


def test_without_caches_of_their_own_they_would(buildkit: Builder) -> None:
    """Shows that the canaries below can be caught: it fails when BuildKit itself keeps apart what it compares."""
    step = f"FROM BASE\nRUN --mount=type=secret,id=token cat /run/secrets/token > /made 2>&- || true; echo {unique()}\n"
    buildkit.good(step, secrets={"token": CANARY})
    assert buildkit.sh(buildkit.good(step), SHOW) == f"[{CANARY.decode()}]\n"


def test_a_step_that_copied_a_secret_is_not_given_to_another_app(buildkit: Builder) -> None:
    step = f"FROM BASE\nRUN --mount=type=secret,id=token cat /run/secrets/token > /made 2>&- || true; echo {unique()}\n"
    own = buildkit.good(step, cache=ONE, secrets={"token": CANARY})
    assert buildkit.sh(own, SHOW) == f"[{CANARY.decode()}]\n"
    other = buildkit.good(step, cache=OTHER)
    assert buildkit.sh(other, SHOW) == "[]\n"
    assert cached(other.output.short) == 0
    again = buildkit.good(step, cache=ONE)
    assert buildkit.sh(again, SHOW) == f"[{CANARY.decode()}]\n"
    assert cached(again.output.short) == 1


@pytest.mark.parametrize("name", sample(["HTTP_PROXY", "https_proxy", "no_proxy"], "https_proxy"))
def test_a_step_that_ran_with_a_proxy_is_not_given_to_another_app(buildkit: Builder, name: str) -> None:
    step = f"FROM BASE\nRUN echo ${name} > /made; echo {unique()}\n"
    own = buildkit.good(step, cache=ONE, args={name: "http://canary.invalid:1"})
    assert buildkit.sh(own, "cat /made") == "http://canary.invalid:1\n"
    assert buildkit.sh(buildkit.good(step, cache=OTHER), "cat /made") == "\n"


@pytest.mark.parametrize(
    "mount",
    sample(
        ["id=ID,target=/cache", "target=/ID", "id=../ONE/ID,target=/cache", "id=/../ONE/ID,target=/c"],
        "id=ID,target=/cache",
        "id=../ONE/ID,target=/cache",
    ),
)
def test_cache_mounts_of_one_name_are_two_for_two_apps(buildkit: Builder, mount: str) -> None:
    mount = mount.replace("ID", unique()).replace("ONE", ONE)
    where = mount.rpartition("=")[2]
    write = f"FROM BASE\nRUN --mount=type=cache,{mount} echo kept > {where}/file; echo {unique()}\n"
    read = "FROM BASE\nRUN --mount=type=cache,{} cat {}/file > /seen 2>&- || true; echo {}\n"
    buildkit.good(write, cache=ONE)
    others = buildkit.good(read.format(mount, where, unique()), cache=OTHER)
    assert buildkit.sh(others, "echo [$(cat /seen)]") == "[]\n"
    own = buildkit.good(read.format(mount, where, unique()), cache=ONE)
    assert buildkit.sh(own, "cat /seen") == "kept\n"


def test_every_step_of_an_app_is_cached_for_its_next_build(buildkit: Builder) -> None:
    steps = "".join(f"RUN echo {n} {unique()} > /made{n}\n" for n in range(5))
    text = f"FROM BASE AS made\n{steps}FROM BASE\nCOPY data /data\nCOPY --from=made /made3 /made3\n"
    first = buildkit.good(text, {"data": unique()}, cache=ONE)
    second = buildkit.good(text, {"data": unique()}, cache=ONE)
    assert cached(first.output.short) == 0
    assert cached(second.output.short) == 5, second.output.short


def test_the_image_knows_nothing_of_the_cache(buildkit: Builder) -> None:
    built = buildkit.good(f"FROM BASE\nRUN echo {unique()}; cp /etc/hosts /seen\n", cache=ONE)
    assert ONE in buildkit.sh(built, "cat /seen"), "the step sees the host"
    assert ONE not in buildkit.sh(built, "cat /etc/hosts")
    assert ONE not in str(buildkit.client.api.inspect_image(built.image)) + str(buildkit.client.api.history(built.image))
    assert buildkit.sh(built, "test -e /etc/hosts && echo there") == "there\n"


def test_only_who_has_a_cache_of_its_own_asks_for_one() -> None:
    plain = BuildRequest("Dockerfile", ("a:1",))
    own = BuildRequest("Dockerfile", ("a:1",), cache=ONE)
    added = [pair for pair in query(own, "b", "s", files=True) if pair not in query(plain, "b", "s", files=True)]
    assert added == [
        ("extrahosts", f"{ONE}.cache.invalid:127.0.0.1"),
        ("buildargs", f'{{"BUILDKIT_CACHE_MOUNT_NS": "{ONE}"}}'),
    ]
