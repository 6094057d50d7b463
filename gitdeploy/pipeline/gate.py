"""`verify`: a program of the server that judges an image before anything of it runs."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import threading
from typing import IO

from gitdeploy.config.model import App
from gitdeploy.engine.types import Image, Output
from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline.programs import PATH, environment, find_program

MAX_LINES = 1000
"""Lines of the program's output that are told."""

MAX_LINE = 8192
"""Bytes of one line. A longer one is left out as a whole: a secret in it that was cut in two would not be recognized."""

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL, and for output that a process left behind keeps open."""


def judged_image(app: App, image: Image, digest: str) -> str:
    """Return what {image} stands for: "repository@sha256:…" once pushed, else the id that the engine knows the image by. Pure.

    Raises StageFailed if that digest is not this image's: something else was given its tag before it was pushed.
    """
    if not digest:
        return image.id
    if image.id != digest and not any(known.endswith(f"@{digest}") for known in image.digests):
        reason = f"what was pushed ({digest[:19]}) is not the image that was built ({image.id[:19]})"
        raise StageFailed(reason, "its tag was given to another image meanwhile: push again")
    return f"{app.image}@{digest}"


def run_gate(app: App, image: str, output: Output, cancel: CancelFlag) -> str:
    """Run `verify` for an image; return the name of the program, which let it pass.

    Raises:
        StageFailed: the program is missing, refused the image, or took too long.
        Cancelled: `cancel` was set; the program and what it started were ended.
    """
    name = app.verify[0]
    process = _start(name, [argument.replace("{image}", image) for argument in app.verify[1:]])
    assert process.stdout is not None
    reader = threading.Thread(target=_tell, args=(process.stdout, output), name="verify-output", daemon=True)
    reader.start()
    over = CancelFlag(cancel)
    ended = _watch(process, over)
    over.wait(app.verify_timeout)
    judged = ended.is_set()
    _end(process, ended)
    reader.join(GRACE)
    if cancel.is_set():
        raise Cancelled(f"cancelled while {name} looked at the image")
    if not judged:
        reason = f"{name} did not judge {image} in {app.verify_timeout:.0f} s (verify_timeout)"
        raise StageFailed(reason, "raise verify_timeout, or see why it takes so long")
    if process.returncode != 0:
        how = f"exit code {process.returncode}" if process.returncode > 0 else f"ended by signal {-process.returncode}"
        raise StageFailed(f"{name} refused {image} ({how})", "what it said is above; nothing of this release was started")
    return name


def _start(name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    path = find_program(name)
    if path is None:
        raise StageFailed(f"verify: there is no program {name}", f"install it where gitdeploy runs, in one of {PATH}")
    try:
        return subprocess.Popen(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(pwd.getpwuid(os.geteuid()).pw_dir),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise StageFailed(f"verify: {path} cannot be run: {error.strerror}", "see its mode and its first line") from None


def _watch(process: subprocess.Popen[bytes], over: CancelFlag) -> threading.Event:
    """Set the event, and `over`, when the program has ended. It is not reaped: until then nobody else can get its number."""
    ended = threading.Event()

    def watch() -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        ended.set()
        over.set("failed")

    threading.Thread(target=watch, name="verify-end", daemon=True).start()
    return ended


def _end(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    """End the program and all of its process group, politely first, and reaps it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(PermissionError):  # it has become another user's
            os.killpg(process.pid, number)
        ended.wait(GRACE)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)


def _tell(stream: IO[bytes], output: Output) -> None:
    """Pass the program's output on, line by line, until it ends."""
    told = 0
    whole = True
    with stream:
        while line := stream.readline(MAX_LINE):
            began, whole = whole, line.endswith(b"\n")
            if not began:  # the rest of a long one
                continue
            told += 1
            if told > MAX_LINES:
                continue
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            output.line(f"    {text}" if len(line) < MAX_LINE else f"    … a line of more than {MAX_LINE} bytes is left out")
    if told > MAX_LINES:
        output.line(f"    … {told - MAX_LINES} more lines are left out")
