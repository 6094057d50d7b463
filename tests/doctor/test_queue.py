"""Doctor finds pushes that wait in vain, an agent that does not run, and a clock that was set back."""

from __future__ import annotations

import os
import time

import pytest

from gitdeploy import __version__
from gitdeploy.doctor.waiting import judge_clock
from gitdeploy.intake.push import PushRecord
from gitdeploy.intake.spool import Spool
from gitdeploy.releases.state import State
from tests.doctor.patient import APP, Patient


def wait_in_spool(patient: Patient, age: float) -> Spool:
    spool = Spool(patient.home)
    spool.add(PushRecord(f"{int(time.time() - age)}-abcdef", APP, str(patient.repository), ()))
    return spool


def test_push_that_waits_in_vain(patient: Patient) -> None:
    spool = wait_in_spool(patient, 5)
    assert patient.faults() == []  # a worker is about to take it

    wait_in_spool(patient, 4000)
    (fault,) = patient.faults()

    assert (fault.level, fault.check, fault.app) == ("error", "queue", APP)
    assert "2 pushes wait" in fault.found
    assert fault.fix == f"{patient.home}/bin/gitdeploy worker --once"
    with spool.lock(APP):  # a worker has them in hand
        assert patient.faults() == []


def test_interrupted_deployment(patient: Patient) -> None:
    with State(patient.home / "state.db") as state:
        number = state.enqueue(APP, "1700000000-abcdef", trigger="push", created=1700000000)
        state.update(number, status="running")

    (fault,) = patient.faults()

    assert (fault.level, fault.check) == ("warning", "queue")
    assert "interrupted" in fault.found


def test_clock_that_was_set_back(patient: Patient) -> None:
    with State(patient.home / "state.db") as state:
        state.enqueue(APP, "1700000000-abcdef", trigger="push", created=time.time() + 7200)

    (fault,) = patient.faults()

    assert (fault.level, fault.check) == ("warning", "clock")
    assert "behind the newest record" in fault.found


def test_clock_within_limits() -> None:
    assert [judge_clock(newest, 1000.0).level for newest in (None, 0.0, 1000.0, 1059.0, 1061.0)] == ["ok"] * 4 + ["warning"]


def test_agent(patient: Patient) -> None:
    """In agent mode, an agent holds the FIFO spool/bell open."""
    patient.follow("GITDEPLOY_MODE=agent gitdeploy enrol " + APP)
    bell = patient.home / "spool" / "bell"

    def agent() -> list[tuple[str, str]]:
        return [(f.level, f.found) for f in patient.examine(GITDEPLOY_MODE="agent") if f.check == "agent"]

    assert agent() == [("error", "the agent has never run here")]
    os.mkfifo(bell, 0o600)
    assert agent() == [("error", "the agent does not run: pushes wait")]
    held = os.open(bell, os.O_RDWR | os.O_NONBLOCK)
    try:
        assert agent() == [("ok", "runs")]
        (patient.home / "agent.version").write_text(f"{__version__}\n")
        assert agent() == [("ok", f"runs, gitdeploy {__version__}")]
        (patient.home / "agent.version").write_text("0.0.1\n")
        assert agent() == [("error", f"the agent is gitdeploy 0.0.1, this is {__version__}")]
        with pytest.raises(BlockingIOError):
            os.read(held, 1)  # nobody rang
    finally:
        os.close(held)
    bell.unlink()
    bell.touch()
    assert agent() == [("error", "the agent cannot be called: spool/bell is no FIFO")]
