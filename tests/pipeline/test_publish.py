"""Which failed pushes are tried again, after which pauses, and when it is enough."""

from __future__ import annotations

import pytest

from gitdeploy.errors import Cancelled, RegistryError, UnfitError
from gitdeploy.pipeline.again import PAUSES
from gitdeploy.pipeline.publish import publish
from tests.support.fake_engine import FakeEngine
from tests.support.recorder import Recorder

VERSION, LATEST = "127.0.0.1:5000/dev-app:1.0", "127.0.0.1:5000/dev-app:latest"

REFUSED = RegistryError("connection refused", transient=True)
DENIED = RegistryError("denied: no", transient=False)


class Pauses:
    """A `Cancel` in which time passes at once; set during the wait number `cancelled_in`."""

    def __init__(self, cancelled_in: int = 0) -> None:
        self.waited: list[float | None] = []
        self.cancelled_in = cancelled_in

    def is_set(self) -> bool:
        return self.cancelled_in > 0 and len(self.waited) >= self.cancelled_in

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        return self.is_set()


def failing(*failures: Exception) -> FakeEngine:
    """An engine with the image, whose first pushes fail with these."""
    left = list(failures)

    def before(call: str) -> None:
        if call == "push" and left:
            raise left.pop(0)

    engine = FakeEngine(before=before)
    engine.add_image(VERSION, LATEST)
    return engine


def nobody(host: str) -> None:
    """Credentials for nobody."""


def test_every_tag_is_pushed_once() -> None:
    engine, told, pauses = failing(), Recorder(), Pauses()
    digest = publish(engine, [VERSION, LATEST], nobody, told, pauses)
    assert digest.startswith("sha256:")
    assert list(engine.registry) == [VERSION, LATEST]
    assert engine.calls == ["push", "push"]
    assert pauses.waited == []


def test_nothing_to_push() -> None:
    assert publish(failing(), [], nobody, Recorder(), Pauses()) == ""


def test_what_may_pass_is_tried_again() -> None:
    engine, told, pauses = failing(REFUSED, REFUSED), Recorder(), Pauses()
    publish(engine, [VERSION, LATEST], nobody, told, pauses)
    assert list(engine.registry) == [VERSION, LATEST]
    assert pauses.waited == list(PAUSES[:2])
    assert sum("connection refused; trying again in" in line for line in told.short) == 2


def test_it_gives_up_in_the_end() -> None:
    engine, pauses = failing(*[REFUSED] * 20), Pauses()
    with pytest.raises(RegistryError, match="connection refused"):
        publish(engine, [VERSION, LATEST], nobody, Recorder(), pauses)
    assert pauses.waited == list(PAUSES)
    assert len(engine.calls) == len(PAUSES) + 1
    assert engine.registry == {}


@pytest.mark.parametrize("failure", [DENIED, UnfitError("no Docker Engine")])
def test_what_will_not_pass_is_not_tried_again(failure: Exception) -> None:
    engine, pauses = failing(failure), Pauses()
    with pytest.raises(type(failure)):
        publish(engine, [VERSION, LATEST], nobody, Recorder(), pauses)
    assert (engine.calls, pauses.waited) == (["push"], [])


def test_a_wish_to_stop_ends_a_pause() -> None:
    engine, pauses = failing(REFUSED, REFUSED, REFUSED), Pauses(cancelled_in=2)
    with pytest.raises(Cancelled):
        publish(engine, [VERSION], nobody, Recorder(), pauses)
    assert len(pauses.waited) == 2
    assert engine.calls == ["push", "push"]
