"""Provenance: an engine with the containerd image store writes it into the image where the server's build.args ask for it."""

from __future__ import annotations

import uuid

import pytest

from tests.support.builder import Builder

CACHE = "1" * 32


@pytest.mark.parametrize("mode", ["mode=min", "mode=max"])
def test_provenance_where_the_engine_makes_it(buildkit: Builder, mode: str) -> None:
    args = {"BUILDKIT_ATTEST_PROVENANCE": mode}
    text = f"FROM BASE\nRUN echo {uuid.uuid4().hex}\n"
    built = buildkit.good(text, args=args, cache=CACHE)
    content = b"".join(buildkit.client.api.get_image(buildkit.tag))
    made = buildkit.engine.info().storage == "overlayfs"
    assert (b"https://slsa.dev/provenance/" in content) == made
    assert (CACHE.encode() in content) == made, "it names all arguments, gitdeploy's own included"
    assert buildkit.sh(built, "echo it runs") == "it runs\n"
