"""Parameters of which a plain run takes some: those that take another way through the code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sample(every: Iterable[Any], *chosen: Any) -> list[Any]:
    """All parameters; those that are not among the chosen ones with --exhaustive only."""
    listed = list(every)
    assert [one for one in chosen if one not in listed] == []
    return [one if one in chosen else pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=RARE) for one in listed]


RARE = pytest.mark.exhaustive
