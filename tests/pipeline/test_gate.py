"""The program that judges an image: real scripts that pass, refuse, hang, blab and leave processes behind."""

from __future__ import annotations

import os
import pwd
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy.config.model import App
from gitdeploy.engine.types import Image
from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline import gate
from gitdeploy.pipeline.gate import judged_image, run_gate
from gitdeploy.terminal.console import Console
from tests.support.builder import running
from tests.support.net import wait_until

IMAGE = "127.0.0.1:5000/o/a@sha256:" + "a" * 64
Script = Callable[..., App]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """An app whose image is judged by a shell script."""

    def make(text: str, *arguments: str, timeout: float = 30.0) -> App:
        path = tmp_path / "judge"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return App("o/a", "127.0.0.1:5000/o/a", "a", verify=(str(path), *arguments), verify_timeout=timeout)

    return make


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "log", 10_000_000)


def said(console: Console) -> list[str]:
    """What the log has, without the times."""
    return [line[24:] for line in console.log.read_text().splitlines()]


def test_it_gets_the_image_and_nothing_of_ours(script: Script, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "secret")
    app = script('echo "$# $1 $2"; pwd; printenv | sort; cat', "--image={image}", "$(id); {image}")
    assert run_gate(app, IMAGE, console, CancelFlag()) == app.verify[0]
    home = pwd.getpwuid(os.geteuid()).pw_dir
    assert said(console) == [
        f"    2 --image={IMAGE} $(id); {IMAGE}",
        "    /",
        f"    HOME={home}",
        "    LC_ALL=C.UTF-8",
        "    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "    PWD=/",
    ]


@pytest.mark.parametrize(("text", "how"), [("exit 3", "exit code 3"), ("kill -9 $$", "ended by signal 9")])
def test_what_it_refuses(script: Script, console: Console, text: str, how: str) -> None:
    with pytest.raises(StageFailed, match=f"judge refused {IMAGE} \\({how}\\)"):
        run_gate(script(f"echo CVE-1 >&2; {text}"), IMAGE, console, CancelFlag())
    assert said(console) == ["    CVE-1"]


def test_a_program_that_is_not_there(console: Console, tmp_path: Path) -> None:
    for name in ("trivy-of-nobody", str(tmp_path / "none"), str(tmp_path)):
        with pytest.raises(StageFailed, match="there is no program") as caught:
            run_gate(App("o/a", "a", "a", verify=(name,)), IMAGE, console, CancelFlag())
        assert "/usr/local/bin" in caught.value.hint


def test_a_program_that_cannot_be_run(console: Console, tmp_path: Path) -> None:
    path = tmp_path / "judge"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    with pytest.raises(StageFailed, match="cannot be run"):
        run_gate(App("o/a", "a", "a", verify=(str(path),)), IMAGE, console, CancelFlag())


def test_one_that_hangs(script: Script, console: Console) -> None:
    mark = f"{time.time():.6f}"
    app = script(f"(sleep 6{mark}) & echo started; sleep 7{mark}", timeout=0.5)
    with pytest.raises(StageFailed, match=r"did not judge .* in 0 s \(verify_timeout\)"):
        run_gate(app, IMAGE, console, CancelFlag())
    assert said(console) == ["    started"]
    for number in "67":
        wait_until(lambda n=number: not running(f"{n}{mark}"), 20, "the end of what it started")


def test_one_that_does_not_take_a_polite_word(script: Script, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "GRACE", 0.3)
    mark = f"{time.time():.6f}"
    with pytest.raises(StageFailed, match="did not judge"):
        run_gate(script(f"trap '' TERM; while :; do sleep 6{mark}; done", timeout=0.3), IMAGE, console, CancelFlag())
    wait_until(lambda: not running(f"6{mark}"), 20, "its end")


def test_cancel(script: Script, console: Console) -> None:
    cancel = CancelFlag()
    mark = f"{time.time():.6f}"
    threading.Timer(0.3, cancel.set, ["request"]).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run_gate(script(f"sleep 6{mark}"), IMAGE, console, cancel)
    assert time.monotonic() - began < 3
    assert not running(f"6{mark}")


def test_what_it_leaves_behind_holds_nobody_up(script: Script, console: Console) -> None:
    mark = f"{time.time():.6f}"
    began = time.monotonic()
    run_gate(script(f"sleep 6{mark} & echo done"), IMAGE, console, CancelFlag())
    assert time.monotonic() - began < 3
    assert said(console) == ["    done"]
    assert not running(f"6{mark}")


def test_secrets_in_its_output(script: Script, console: Console) -> None:
    """A line that is cut in two would not show its secret as one."""
    console.redact.add(["canary-secret"])
    app = script(f"echo a canary-secret; printf '%0{gate.MAX_LINE - 6}d' 0; echo canary-secret; echo end; printf canary-secret")
    run_gate(app, IMAGE, console, CancelFlag())
    lines = said(console)
    assert lines == ["    a ***", f"    … a line of more than {gate.MAX_LINE} bytes is left out", "    end", "    ***"]
    assert "canary" not in console.log.read_text()


def test_endless_output_is_bounded(script: Script, console: Console) -> None:
    run_gate(script("seq 100000; printf '\\033[31mred\\033[0m'"), IMAGE, console, CancelFlag())
    lines = said(console)
    assert len(lines) == gate.MAX_LINES + 1
    assert lines[-1] == f"    … {100_001 - gate.MAX_LINES} more lines are left out"


def test_what_the_image_is_called() -> None:
    app = App("o/a", "127.0.0.1:5000/o/a", "a")
    digest = "sha256:" + "d" * 64

    def image(id: str, *digests: str) -> Image:
        return Image(id, (), digests, {}, (), False, 1, "")

    assert judged_image(app, image("sha256:1"), "") == "sha256:1"
    assert judged_image(app, image("sha256:1", f"127.0.0.1:5000/o/a@{digest}"), digest) == f"127.0.0.1:5000/o/a@{digest}"
    assert judged_image(app, image(digest), digest) == f"127.0.0.1:5000/o/a@{digest}"
    with pytest.raises(StageFailed, match="is not the image that was built"):
        judged_image(app, image("sha256:1", f"127.0.0.1:5000/o/a@sha256:{'e' * 64}"), digest)
