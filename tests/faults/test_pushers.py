"""The pusher goes away, or stops to read: the deployment neither ends nor waits."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.faults.conftest import DOCKERFILE, MakeTiny, Tiny
from tests.faults.faulty import Point
from tests.support.gogs import Remote
from tests.support.net import wait_until
from tests.support.params import sample

SLOW = DOCKERFILE.replace("STOPSIGNAL", "RUN sleep 1\nSTOPSIGNAL")
CHATTY = DOCKERFILE.replace("STOPSIGNAL", "RUN yes 'a line that nobody will read' | head -n 60000\nSTOPSIGNAL")


def start(tiny: Tiny) -> subprocess.Popen[bytes]:
    """Starts a push in a session of its own, as a terminal does; its output is a pipe."""
    return subprocess.Popen(
        ["git", "-C", str(tiny.clone.path), "push", tiny.remote.url, "main"],
        env={**os.environ, **tiny.remote.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def read_until(push: subprocess.Popen[bytes], text: bytes) -> None:
    assert push.stdout
    for line in push.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} did not come")


def processes_in(directory: Path) -> list[str]:
    """Command lines of the processes whose working directory is in `directory`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(directory):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def live(tiny: Tiny, version: str) -> bool:
    newest = tiny.site.history(tiny.name)[0]
    return bool(newest["status"] == "succeeded" and newest["version"] == version)


@pytest.mark.parametrize(
    "number", sample([signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL], signal.SIGHUP, signal.SIGKILL)
)
def test_the_pusher_is_gone(number: signal.Signals, make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    tiny.push("1")
    tiny.release("2", Dockerfile=SLOW)
    with start(tiny) as push:
        read_until(push, b"==> Build")
        os.killpg(push.pid, number)
    wait_until(lambda: live(tiny, "2"), 30, "the deployment")
    assert tiny.get() == "2"
    wait_until(lambda: not list((tiny.site.home / "spool").iterdir()), 20, "an empty spool")
    wait_until(lambda: not processes_in(tiny.site.gogs.data), 20, "the end of all processes of the push")


@pytest.mark.parametrize(
    ("effect", "heard"),
    [
        ("engine.create", "an earlier attempt was cut off; beginning again"),
        ("engine.start", "gitdeploy: deployment 2 succeeded"),  # what was started is found healthy
    ],
)
def test_a_killed_worker_goes_on_telling(effect: str, heard: str, make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    tiny.push("1")
    tiny.kill_at(Point(effect, 1, "after"), "child")
    text = tiny.push("2").text
    assert tiny.fired.exists()
    assert heard in text, text
    assert "is started again" not in text, "the hook has not noticed"
    assert tiny.get() == "2"
    assert live(tiny, "2")
    wait_until(lambda: not processes_in(tiny.site.gogs.data), 10, "the end of all processes of the push")


def test_the_connection_is_cut(make_tiny: MakeTiny, request: pytest.FixtureRequest) -> None:
    tiny = make_tiny()
    server = request.getfixturevalue("ssh_server")
    remote: Remote = server.remote(tiny.name)
    tiny.clone.release("1", {})
    tiny.clone.push(remote)
    tiny.release("2", Dockerfile=SLOW)
    push = tiny.clone.start_push(remote)
    wait_until(lambda: "==> Build" in newest_log(tiny, 2), 20, "the build")
    push.kill()
    push.communicate()
    wait_until(lambda: live(tiny, "2"), 30, "the deployment")
    assert tiny.get() == "2"


def newest_log(tiny: Tiny, number: int) -> str:
    path = tiny.site.home / "logs" / tiny.name / f"{number}.log"
    return path.read_text() if path.exists() else ""


def test_the_terminal_is_stalled(make_tiny: MakeTiny) -> None:
    tiny = make_tiny('build = { output = "full" }\n')
    tiny.push("1")
    tiny.release("2", Dockerfile=CHATTY)
    with start(tiny) as push:
        wait_until(lambda: live(tiny, "2"), 60, "the deployment, with a pusher who reads nothing")
        assert push.poll() is None
        assert tiny.get() == "2"
        output, _ = push.communicate(timeout=30)
    assert b"2 is live" in output
    assert "is live" in newest_log(tiny, 2)
