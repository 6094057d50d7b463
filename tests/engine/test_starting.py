"""A container whose network of many machines the engine does not find for a moment."""

from __future__ import annotations

import pytest

from gitdeploy.engine import containers
from gitdeploy.engine.containers import Containers
from gitdeploy.errors import EngineError

FORGOTTEN = "Could not attach to network own: rpc error: code = NotFound desc = network own not found"


class Forgetful:
    """An engine's API that refuses so many starts with these words."""

    def __init__(self, words: str, refusals: int) -> None:
        self.words = words
        self.refusals = refusals
        self.asked = 0

    def call(self, method: str, path: str) -> None:
        self.asked += 1
        if self.asked <= self.refusals:
            raise EngineError(self.words, 500)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "ATTACH_AGAIN", (0.0, 0.0))


def started(api: Forgetful) -> int:
    """Starts a container; returns how often the engine was asked."""
    part = Containers()
    part._api = api  # type: ignore[assignment]
    part.start("c")
    return api.asked


def test_it_is_tried_again() -> None:
    assert started(Forgetful(FORGOTTEN, 2)) == 3


@pytest.mark.parametrize("words, asked", [(FORGOTTEN, 3), ("port is already allocated", 1)])
def test_not_for_ever_and_not_for_anything_else(words: str, asked: int) -> None:
    api = Forgetful(words, 9)
    with pytest.raises(EngineError):
        started(api)
    assert api.asked == asked
