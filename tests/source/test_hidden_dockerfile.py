"""A Dockerfile that is no part of the context is in no image: by the session, and by what the classic builder removes."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.source.building import Site
from tests.support.gitrepo import Tree

COPY_ALL = b"FROM scratch\nCOPY . /ctx/\nCMD x\n"

CASES: dict[str, tuple[Tree, dict[str, str], set[str]]] = {
    "named by .dockerignore": ({"Dockerfile": COPY_ALL, ".dockerignore": b"Dockerfile\n"}, {}, {".dockerignore", "a"}),
    "named with .dockerignore itself": ({"Dockerfile": COPY_ALL, ".dockerignore": b"*\n!a\n"}, {}, {"a"}),
    "named by its own file": (
        {"x y/D?.e": COPY_ALL, "x y/D?.e.dockerignore": b"x*\n", "Dockerfile": b"1", "a.e": b"2"},
        {"dockerfile": "x y/D?.e"},
        {"Dockerfile", "a", "a.e"},
    ),
    "outside": ({"Dockerfile": COPY_ALL, "app/a": b"1"}, {"directory": "app"}, {"a"}),
    "outside, .dockerignore within": (
        {"other/Dockerfile": COPY_ALL, "app/a": b"1", "app/.dockerignore": b"b"},
        {"directory": "app", "dockerfile": "other/Dockerfile"},
        {"a", ".dockerignore"},
    ),
}


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
@pytest.mark.parametrize("case", CASES)
def test_a_dockerfile_that_is_no_part_of_the_context_is_in_no_image(
    site: Site, case: str, builder: Literal["buildkit", "classic"]
) -> None:
    files, options, expected = CASES[case]
    site.builder = builder
    site.repo.commit({"a": b"1", **files})
    site.build(**options)  # type: ignore[arg-type]
    assert {name for name, member in site.found().items() if member.kind == "file"} == expected


def test_one_that_is_a_part_of_the_context_is_in_it(site: Site) -> None:
    site.builder = "classic"
    ignored = b"b\n"
    site.repo.commit({"Dockerfile": COPY_ALL, ".dockerignore": ignored, "a": b"1", "b": b"2"})
    site.build()
    assert set(site.found()) == {"Dockerfile", ".dockerignore", "a"}


def test_buildkit_has_it_in_a_stream(site: Site) -> None:
    """The limit that docs/limits.md tells of: BuildKit takes a stream's Dockerfile from what COPY sees."""
    site.repo.commit({"Dockerfile": COPY_ALL, ".dockerignore": b"Dockerfile\n", b"\xff": b"1"})
    site.build()
    assert "Dockerfile" in site.found()
