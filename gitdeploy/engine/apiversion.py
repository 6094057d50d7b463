"""Versions of the Engine API, "1.41". Pure.

Source of what changed when: https://docs.docker.com/reference/api/engine/version-history/
"""

from __future__ import annotations

NEWEST = "1.56"
"""The newest version that is known and tested; newer engines still speak it, or say what they speak at least."""

OLDEST = "1.41"
"""That of engine 20.10, the oldest that is tested."""

RESERVED_SPACE = "1.48"
"""Since then what a prune of the build cache leaves is `reserved-space`; `keep-storage` is to be ignored from 1.52 on."""

NATIVE_GRPC = "1.52"
"""Since then an engine speaks HTTP/2 and gRPC without an upgrade."""


def at_least(version: str, wanted: str) -> bool:
    """Return whether a version is that one or newer."""
    return numbers(version) >= numbers(wanted)


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as what can be compared."""
    return tuple(int(number) for number in version.split("."))
