"""The hook while a worker deploys: the console reaches the pusher, who may go at any time; nothing is left over."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.hooks import DEPLOYS, MAIN, SIGNALS, HookSite, assert_clean, first_line
from tests.support.net import wait_until

# Opens every console, says a line, and goes on when the test makes the file `go`; `done` tells that it has come to its end.
WAITS = """
for name in $(waiting); do
    open_console "$name"
    echo "building" >&5
    while [ ! -e ../go ]; do sleep 0.05; done
    echo "live" >&5
    rm "$name.push"
    exec 5>&-
done
touch ../done
sleep 0.1
"""


def test_console_reaches_the_pusher_while_the_worker_runs(site: HookSite) -> None:
    site.worker(WAITS)
    process = site.start(MAIN)
    assert first_line(process) == "building\n"
    assert len(site.waiting()) == 1  # the record is there until the end, the pipe's name goes when a worker has come
    (site.home / "go").touch()
    text, _ = process.communicate(timeout=10)
    assert (text, process.returncode) == (b"live\n", 0)
    assert site.waiting() == []
    assert_clean(site)


def test_output_passes_as_it_is(site: HookSite) -> None:
    site.worker(DEPLOYS.replace('echo "live"', "{ printf 'a\\rb\\t%%s \\\\n \\303\\244\\n\\n  c  \\n'; seq 20000; }"))
    assert site.push().text.endswith("\na\rb\t%s \\n ä\n\n  c  \n" + "".join(f"{i}\n" for i in range(1, 20001)))


def test_pusher_is_let_go_in_time_and_the_worker_goes_on(site: HookSite) -> None:
    site.configure("refs/heads/main", wait=1)
    site.worker(WAITS)
    start = time.monotonic()
    result = site.push()
    assert 1 <= time.monotonic() - start < 3
    assert result.code == 0
    assert result.lines[0] == "building"
    assert "after 1 s" in result.lines[1]
    assert "gitdeploy logs -f devops/dev-app" in result.lines[2]
    (site.home / "go").touch()
    wait_until((site.home / "done").exists, 20, "the worker's end")
    assert_clean(site)


@pytest.mark.parametrize("name", SIGNALS)
def test_pusher_goes_away(site: HookSite, name: str) -> None:
    site.worker(WAITS)
    process = site.start(MAIN)
    first_line(process)
    process.send_signal(SIGNALS[name])
    assert process.wait(5) == 0
    (record,) = site.waiting()
    (site.home / "go").touch()
    wait_until((site.home / "done").exists, 20, "the worker's end")
    assert not (site.spool / record).exists()
    assert_clean(site)


@pytest.mark.parametrize("name", ["HUP", "INT", "TERM"])
def test_signal_to_the_whole_group_at_any_time_loses_no_push(site: HookSite, name: str) -> None:
    """What Ctrl-C does to a push by path; the delays walk through the hook's life."""
    accepted = 0
    for delay in (0.002, 0.004, 0.006, 0.008, 0.010, 0.015, 0.02, 0.03, 0.05):
        process = site.start(MAIN)
        time.sleep(delay)
        os.killpg(process.pid, SIGNALS[name])
        process.communicate(timeout=10)
        # Until it has read that main was pushed, a hook can be killed, as git itself can be before it starts the hook.
        assert process.returncode in (0, -SIGNALS[name])
        accepted += process.returncode == 0
    wait_until(lambda: len(site.seen()) == accepted, 20, "as many deployments as hooks that went on")
    assert accepted > 0
    assert_clean(site)


def test_pusher_no_longer_reads(site: HookSite) -> None:
    site.worker(WAITS)
    process = site.start(MAIN)
    first_line(process)
    assert process.stdout is not None
    process.stdout.close()
    (site.home / "go").touch()
    assert process.wait(5) == 0
    wait_until((site.home / "done").exists, 20, "the worker's end")
    assert len(site.workers()) == 1
    assert_clean(site)


def test_pusher_reads_nothing_until_the_end(site: HookSite) -> None:
    site.worker(DEPLOYS.replace('echo "live"', "seq 100000"))
    process = site.start(MAIN)
    wait_until(lambda: site.waiting() == [], 20, "the worker's start")
    time.sleep(0.2)
    text, _ = process.communicate(timeout=20)
    assert text.endswith(b"\n100000\n")
    assert_clean(site)


@pytest.mark.parametrize("site", ["dash", "bash"], indirect=True)  # busybox has mkfifo built in
def test_no_named_pipes(site: HookSite, tmp_path: Path) -> None:
    (tmp_path / "mkfifo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "mkfifo").chmod(0o755)
    result = site.push(environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert result.code == 0
    assert "gitdeploy logs -f devops/dev-app" in result.lines[0]
    wait_until(lambda: len(site.seen()) == 1, 20, "the worker")
    assert site.seen()[0].console == ""
