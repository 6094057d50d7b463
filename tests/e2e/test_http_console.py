"""The pusher over HTTP reads each line while the deployment runs, although the Git server never flushes, and nothing else."""

from __future__ import annotations

import fcntl
import re
from typing import IO

import pytest

from tests.e2e.conftest import Deployable
from tests.support.gogs import Gogs
from tests.support.params import sample
from tests.support.smart_http import HttpServer

HELD = "waiting: 1 other builds are running"


def read_until(stream: IO[str], text: str) -> str:
    seen = ""
    while text not in seen:
        part = stream.readline()
        assert part, seen
        seen += part
    return seen


@pytest.mark.parametrize("earlier", sample(["", "echo hello from before"], "echo hello from before"))
def test_a_line_comes_before_the_next_one_is_there(app: Deployable, http_server: HttpServer, earlier: str) -> None:
    if earlier:
        previous = app.site.gogs.repository(app.name) / "custom_hooks/post-receive.before-gitdeploy"
        previous.write_text(f"#!/bin/sh\n{earlier}\n")
        previous.chmod(0o755)
    app.site.configure(f'[apps."{app.name}".build]\noutput = "full"\n[server]\nparallel = 1\n')
    slots = app.site.home / "locks/.slots"
    slots.mkdir(parents=True)
    app.clone.release("1.0.0")
    with (slots / "0.lock").open("w") as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)  # the build begins when the test lets it
        with app.clone.start_push(http_server.remote(app.name)) as push:
            assert push.stdout is not None
            seen = read_until(push.stdout, HELD)
            fcntl.flock(slot, fcntl.LOCK_UN)
            seen += push.stdout.read()
    log = (app.site.home / "logs" / app.name / "latest.log").read_text()
    lines = [line[24:].rstrip() for line in log.splitlines()]
    shown = [line.rstrip() for line in re.findall(r"^remote: (.*)$", seen, re.MULTILINE)]
    assert [line for line in lines if line not in shown] == []  # none is lost in the filling
    assert "\0" not in seen
    if earlier:
        assert "hello from before" in seen


def test_over_ssh_nothing_is_filled(app: Deployable, gogs_dir: Gogs, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("ssh_server")
    app.clone.release("1.0.0")
    app.clone.git("config", "remote.pushDefault", "none")
    trace = app.clone.path / "trace"
    remote = server.remote(app.name)
    remote.environ["GIT_TRACE_PACKET"] = str(trace)
    assert "1.0.0 is live" in app.clone.push(remote).text
    assert trace.stat().st_size < 20_000
