"""A request to cancel is for the deployment that it names, whatever crashes in between."""

from __future__ import annotations

import pytest

from gitdeploy.intake.cancelling import CancelRequests
from tests.faults.conftest import MakeTiny, Tiny
from tests.faults.faulty import Point


def cancelled_at(tiny: Tiny, version: str, point: Point) -> str:
    """Pushes a version; at the point its cancel is asked for, and the worker is killed. Returns what the pusher saw."""
    number = len(tiny.site.history(tiny.name)) + 1
    requests = CancelRequests(tiny.site.home / "locks")
    requests.ask(tiny.name, number)
    request = tiny.site.home / "locks" / f"{tiny.name}.{number}.cancel"
    assert request.exists()
    request.unlink()
    tiny.kill_at(point, "other", ["sh", "-c", f"touch '{request}'; kill -9 $PPID"])
    text = tiny.push(version).text
    assert tiny.fired.exists()
    tiny.kill_no_more()
    return text


@pytest.mark.parametrize(
    ("effect", "status"),
    [
        ("engine.create", "cancelled"),  # before the switch: undone
        ("engine.start", "succeeded"),  # what was started is found healthy: too late
    ],
)
def test_a_cancel_that_a_crash_meets_hits_no_later_push(effect: str, status: str, make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    assert "1 is live" in tiny.push("1").text
    text = cancelled_at(tiny, "2", Point(effect, 1, "after"))
    assert f"deployment 2 {status}" in text, text
    assert tiny.get() == ("2" if status == "succeeded" else "1")
    assert "3 is live" in tiny.push("3").text
    assert [d["status"] for d in tiny.site.history(tiny.name)] == ["succeeded", status, "succeeded"]
    assert not list((tiny.site.home / "locks").rglob("*.cancel"))
