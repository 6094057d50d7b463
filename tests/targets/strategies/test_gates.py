"""The gates between an app's processes: who waits for whom, and what one failure does to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from gitdeploy.errors import Cancelled, EngineGone, StageFailed
from gitdeploy.targets.strategies.gates import Gates, OtherFailed
from gitdeploy.targets.strategies.together import decisive

SOON = 5.0
ALL = ("web", "worker", "mail")

Begin = Callable[..., Future[None]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Lets somebody pass a gate in a thread of their own."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


def nothing() -> None:
    pass


def test_web_switches_when_all_others_are_healthy_and_they_follow_when_it_serves(begin: Begin) -> None:
    gates = Gates(ALL, Event())
    pushed = Event()
    web = begin(gates.switch, "web", lambda: pushed.wait(SOON))
    worker = begin(gates.switch, "worker", nothing)
    pushed.set()
    assert not web.done()
    mail = begin(gates.switch, "mail", nothing)
    web.result(SOON)
    assert not worker.done()
    assert not mail.done()
    served = begin(gates.commit, "web")
    for one in (worker, mail):
        one.result(SOON)
    gates.switch("worker", nothing)  # for its next replica
    assert not served.done()
    rest = [begin(gates.commit, name) for name in ("worker", "mail")]
    for one in (served, *rest):
        one.result(SOON)


@pytest.mark.parametrize("late", [False, True], ids=["before the switch", "behind it"])
def test_one_failure_closes_the_gates_for_all(begin: Begin, late: bool) -> None:
    gates = Gates(ALL, Event())
    waiting = [begin(gates.switch, "worker", nothing)]
    if late:
        begin(gates.switch, "mail", nothing)
        gates.switch("web", nothing)
        waiting.append(begin(gates.commit, "web"))
        waiting[0].result(SOON)
        waiting[0] = begin(gates.commit, "worker")
    assert not gates.is_set()
    gates.close()
    assert gates.is_set()
    for one in waiting:
        with pytest.raises(OtherFailed):
            one.result(SOON)
    with pytest.raises(OtherFailed):
        gates.commit("mail")


def test_who_has_passed_the_second_gate_is_not_brought_back() -> None:
    cancel = Event()
    gates = Gates(["web"], cancel)
    gates.switch("web", nothing)
    gates.commit("web")
    gates.close()
    cancel.set()
    assert not gates.is_set()
    gates.commit("web")


def test_a_cancel_ends_every_wait_and_closes_the_gates(begin: Begin) -> None:
    cancel = Event()
    gates = Gates(ALL, cancel)
    waiting = [begin(gates.switch, name, nothing) for name in ("web", "worker")]
    healthy = begin(gates.wait, SOON)
    cancel.set()
    errors = {type(one.exception(SOON)) for one in waiting}
    assert Cancelled in errors
    assert errors <= {Cancelled, OtherFailed}
    assert bool(healthy.result(SOON)) is True
    with pytest.raises(OtherFailed):
        gates.switch("mail", nothing)


def test_what_the_registry_says_is_raised_as_it_is() -> None:
    gates = Gates(ALL, Event())

    def refused() -> None:
        raise StageFailed("denied")

    with pytest.raises(StageFailed, match="denied"):
        gates.switch("web", refused)


def test_a_wait_ends_with_its_time() -> None:
    assert Gates(ALL, Event()).wait(0.01) is False


def test_what_failed_first_is_told_and_what_could_not_be_undone_elsewhere() -> None:
    first, other = StageFailed("the worker ends", "look"), OtherFailed("another", "undoing it failed too (x)")
    chosen = decisive([first, other])
    assert chosen is first
    assert first.hint == "look undoing it failed too (x)"


def test_an_engine_that_is_away_counts_more() -> None:
    gone = EngineGone("no answer")
    assert decisive([StageFailed("x"), gone]) is gone
    dead = KeyboardInterrupt()
    assert decisive([StageFailed("x"), gone, dead]) is dead
