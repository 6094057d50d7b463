"""The hook and workers that die, do not start, do not answer, or are an agent."""

from __future__ import annotations

import os
import time

import pytest

from tests.support.hooks import DEPLOYS, MAIN, HookSite, assert_clean, first_line
from tests.support.net import wait_until

OPENS = 'for name in $(waiting); do open_console "$name"; echo "building" >&5; done'


def test_worker_that_dies_is_started_again(site: HookSite) -> None:
    dies_first = """
if [ ! -e ../second ]; then
    touch ../second
    for name in $(waiting); do open_console "$name"; echo "building" >&5; done
    kill -9 $$
fi
"""
    site.worker(dies_first + DEPLOYS)
    result = site.push()
    assert result.lines[0] == "building"
    assert "started again" in result.lines[1]
    assert result.lines[-1] == "live"
    assert len(site.workers()) == 2
    assert_clean(site)


@pytest.mark.parametrize("before", ["", OPENS], ids=["early", "late"])
def test_worker_that_is_stopped_is_not_started_again(site: HookSite, before: str) -> None:
    site.worker(f"{before}\nexit 143\n")
    result = site.push()
    assert result.code == 0
    assert result.lines[-2] == "gitdeploy: the worker was stopped. The push is recorded, and deployed as soon as one runs."
    assert len(site.workers()) == 1
    assert len(site.waiting()) == 1
    assert_clean(site)


@pytest.mark.parametrize("before", ["", OPENS], ids=["early", "late"])
def test_worker_that_dies_again_and_again(site: HookSite, before: str) -> None:
    site.worker(f"{before}\nkill -9 $$\n")
    result = site.push()
    assert result.code == 0
    assert len(site.workers()) == 3
    assert "recorded" in result.lines[-2]
    assert f"{site.home}/bin/gitdeploy doctor" in result.lines[-1]
    assert len(site.waiting()) == 1
    assert_clean(site)


@pytest.mark.parametrize(
    ("worker", "logged"),
    [("#!/nonexistent/python\n", "gitdeploy"), (None, "gitdeploy"), ("#!/bin/sh\necho no module >&2; exit 1\n", "no module")],
    ids=["no-python", "no-cli", "fails"],
)
def test_worker_that_cannot_start(site: HookSite, worker: str | None, logged: str) -> None:
    path = site.home / "bin" / "gitdeploy"
    path.unlink()
    if worker is not None:
        path.write_text(worker)
        path.chmod(0o755)
    result = site.push()
    assert result.code == 0
    assert len(result.lines) == 2
    assert "no worker deploys it now" in result.lines[0]
    assert f"{site.home}/logs/gitdeploy.log" in result.lines[1]
    assert logged in (site.home / "logs" / "gitdeploy.log").read_text()
    assert len(site.waiting()) == 1
    assert_clean(site)


def test_worker_that_leaves_the_push_to_another_one(site: HookSite) -> None:
    site.worker("")  # ends with 0 and does nothing: another worker holds the app
    process = site.start(MAIN)
    wait_until(lambda: len(site.waiting()) == 2 and len(site.workers()) == 1, 20, "the record")
    time.sleep(0.1)
    assert process.poll() is None
    (console,) = site.spool.glob("*.console")
    with console.open("w") as pipe:
        pipe.write("deployed by another worker\n")
        next(site.spool.glob("*.push")).unlink()
    text, _ = process.communicate(timeout=5)
    assert text == b"deployed by another worker\n"
    assert_clean(site)


def test_nobody_answers_within_the_limit(site: HookSite) -> None:
    site.configure("refs/heads/main", wait=1)
    site.worker("")
    result = site.push()
    assert result.code == 0
    assert "no worker has taken this push within 1 s" in result.lines[0]
    assert len(site.waiting()) == 1
    assert_clean(site)


def test_agent_is_woken_and_its_console_shown(site: HookSite) -> None:
    site.configure("refs/heads/main", mode="agent")
    os.mkfifo(site.spool / "bell")
    bell = os.open(site.spool / "bell", os.O_RDWR)
    process = site.start(MAIN)
    assert os.read(bell, 1) == b"."
    (console,) = site.spool.glob("*.console")
    with console.open("w") as pipe:
        pipe.write("from the agent\n")
        pipe.flush()
        assert first_line(process) == "from the agent\n"
        next(site.spool.glob("*.push")).unlink()
    assert process.communicate(timeout=5)[0] == b""
    os.close(bell)
    assert site.workers() == []
    assert_clean(site)


def test_agent_that_restarts_within_a_deployment(site: HookSite) -> None:
    site.configure("refs/heads/main", mode="agent")
    process = site.start(MAIN)
    wait_until(lambda: len(list(site.spool.glob("*.console"))) == 1, 20, "the console")
    (console,) = site.spool.glob("*.console")
    console.write_text("building\n")
    assert first_line(process) == "building\n"
    assert "started again" in first_line(process)
    wait_until(console.exists, 20, "a new console")
    with console.open("w") as pipe:
        pipe.write("live\n")
        next(site.spool.glob("*.push")).unlink()
    assert process.communicate(timeout=5)[0] == b"live\n"
    assert_clean(site)


@pytest.mark.parametrize("site", ["dash"], indirect=True)  # it takes ten seconds
def test_agent_that_does_not_run(site: HookSite) -> None:
    site.configure("refs/heads/main", mode="agent")
    result = site.push()
    assert result.code == 0
    assert "recorded" in result.lines[0]
    assert "docker logs gitdeploy" in result.lines[1]
    assert len(site.waiting()) == 1
    assert_clean(site)
