"""Image references: "REGISTRY/REPOSITORY:TAG". Pure.

Grammar and defaults: https://pkg.go.dev/github.com/distribution/reference
"""

from __future__ import annotations

HUB = "docker.io"


def split(ref: str) -> tuple[str, str]:
    """Repository and tag or digest: ("127.0.0.1:5000/dev-app", "1.0"); the tag is "latest" where none is given."""
    if "@" in ref:
        named, _, digest = ref.partition("@")
        return split(named)[0], digest
    repository, colon, tag = ref.rpartition(":")
    if not colon or "/" in tag:
        return ref, "latest"
    return repository, tag


def registry(ref: str) -> str:
    """The registry's host of a reference: "127.0.0.1:5000" of "127.0.0.1:5000/dev-app:1.0", "docker.io" where none is named."""
    first, slash, _ = ref.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if named else HUB
