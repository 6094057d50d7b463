"""The engine is slow or answers with errors, the registry comes and goes, the disk is full, the clock jumps."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.conftest import DOCKERFILE, MakeTiny, Tiny
from tests.faults.test_crash import Trial, held
from tests.support.builder import running
from tests.support.gogs import Remote
from tests.support.interposer import interpose
from tests.support.net import wait_until
from tests.support.params import sample
from tests.support.registry import Registry

ERROR_500 = (
    b'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 30\r\nConnection: close\r\n\r\n{"message":"sentinel trouble"}'
)
NO_SPACE = b'{"errors":[{"code":"UNKNOWN","message":"write /storage: no space left on device"}]}'


def through(tiny: Tiny, url: str) -> Tiny:
    """The same app, whose pushes find the engine at `url`."""
    return replace(tiny, remote=Remote(tiny.remote.url, {**tiny.remote.environ, "DOCKER_HOST": url}))


@pytest.mark.parametrize("path", sample(["/build", "/containers/create", "/stop", "/rename", "/images/"], "/stop", "/images/"))
def test_an_engine_that_answers_500(path: str, make_tiny: MakeTiny, engine_url: str, tmp_path: Path) -> None:
    tiny = make_tiny()
    tiny.push("1")
    with interpose(engine_url, tmp_path) as between:
        between.refused[path] = ERROR_500
        text = through(tiny, between.url).push("2").text
    assert any(path in line for line in between.seen)
    assert "Traceback" not in text
    assert tiny.get() in ("1", "2"), text
    history = tiny.site.history(tiny.name)
    assert (history[0]["status"] == "succeeded") == (tiny.get() == "2"), text
    if history[0]["status"] == "failed":
        assert "sentinel trouble" in text
    assert "is live" in tiny.push("3").text
    trial = Trial(tiny, routed=False, replicas=1)
    trial.check("3")
    assert not trial.wrong


def test_an_engine_that_starts_nothing(make_tiny: MakeTiny, engine_url: str, tmp_path: Path) -> None:
    tiny = make_tiny()
    tiny.push("1")
    with interpose(engine_url, tmp_path) as between:
        between.refused["/start"] = ERROR_500
        text = through(tiny, between.url).push("2").text
    assert f"undoing it failed too: starting {tiny.container} again: " in text
    assert "1 DOES NOT SERVE any more: run gitdeploy deploy" in text
    assert tiny.get() == ""
    assert "2 is live" in tiny.site.run("deploy", tiny.name).stdout
    trial = Trial(tiny, routed=False, replicas=1)
    trial.expect("serving", tiny.get(), "2")
    trial.check_leftovers()
    assert not trial.wrong


@contextlib.contextmanager
def port(answer: bytes | None, target: int = 0, patience: int = 0) -> Iterator[int]:
    """A port that answers every request with `answer`; or hangs up on `patience` connections and then leads to `target`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, answer, target, patience), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, answer: bytes | None, target: int, patience: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            if answer is not None:
                threading.Thread(target=_answer, args=(client, answer), daemon=True).start()
            elif patience > 0:
                patience -= 1
                client.close()
            else:
                server = socket.create_connection(("127.0.0.1", target))
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _answer(client: socket.socket, answer: bytes) -> None:
    with client, contextlib.suppress(OSError):
        while client.recv(65536):
            client.sendall(answer)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def test_a_registry_that_comes_back(make_tiny: MakeTiny, registry: Registry) -> None:
    with port(None, int(registry.host.partition(":")[2]), patience=2) as number:
        tiny = make_tiny(image=f"127.0.0.1:{number}/comes-back")
        text = tiny.push("1").text
    assert "trying again in" in text, text
    assert "is live" in text, text
    assert registry.tags("comes-back") == ["1", "latest"]
    assert tiny.get() == "1"


def test_a_registry_without_space(make_tiny: MakeTiny) -> None:
    head = f"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: {len(NO_SPACE)}\r\n\r\n"
    tiny = make_tiny()
    tiny.push("1")
    with port(head.encode() + NO_SPACE) as number:
        config = tiny.site.home / "config.toml"
        config.write_text(
            config.read_text().replace("enabled = false", 'timeout = "5s"').replace("gitdeploy-faults/", f"127.0.0.1:{number}/")
        )
        text = tiny.push("2").text
    assert "FAILED at Push" in text
    assert "push.timeout" in text
    assert "1 still serves" in text
    assert tiny.get() == "1"
    assert list(tiny.containers().values()) == ["running"]


@pytest.fixture
def small_disk(make_tiny: MakeTiny) -> Iterator[Tiny]:
    """An app with version 1 running, whose installation is on a disk of 6 MB."""
    tiny = make_tiny()
    tiny.site.configure('[server]\nmin_free = "1MB"\n')
    assert "is live" in tiny.push("1").text
    wait_until(lambda: not tiny.site.workers(), 30, "the worker's end")
    home = tiny.site.home
    kept = home.with_name("kept")
    subprocess.run(["cp", "-a", home, kept], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", home], check=True)
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", home], check=True)
        yield tiny
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)
        subprocess.run(["cp", "-a", f"{kept}/.", home], check=True)


def fill(home: Path, leave: int) -> Path:
    """Fills the disk up to `leave` bytes; returns the file that does it."""
    path = home / "filler"
    with path.open("wb") as file, contextlib.suppress(OSError):
        while os.statvfs(home).f_bavail * os.statvfs(home).f_frsize > leave:
            file.write(b"x" * 4096)
            file.flush()
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk(small_disk: Tiny) -> None:
    tiny, home = small_disk, small_disk.site.home

    filler = fill(home, 0)
    text = tiny.push("2").text
    assert "the push cannot be recorded" in text
    assert "No space left" in text
    assert tiny.get() == "1"
    assert not [p for p in (home / "spool").iterdir() if p.name != "bell"]
    filler.unlink()

    filler = fill(home, 500_000)
    text = tiny.push("3").text
    assert "MB free" in text
    assert "min_free" in text
    assert tiny.get() == "1"
    filler.unlink()

    assert "is live" in tiny.push("4").text
    assert [d["status"] for d in tiny.site.history(tiny.name)] == ["succeeded", "failed", "succeeded"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_fills_during_a_deployment(small_disk: Tiny) -> None:
    tiny, home = small_disk, small_disk.site.home
    tiny.release("2", Dockerfile=DOCKERFILE.replace("STOPSIGNAL", "RUN sleep 2; seq 2000\nSTOPSIGNAL"))
    push = tiny.clone.start_push(tiny.remote)
    log = home / "logs" / tiny.name / "2.log"
    wait_until(lambda: log.exists() and "==> Build" in log.read_text(), 20, "the build")
    filler = fill(home, 0)
    text, _ = push.communicate(timeout=60)
    assert "Traceback" not in text
    assert tiny.get() in ("1", "2")
    filler.unlink()
    tiny.site.run("worker", "--once")
    assert "is live" in tiny.push("3").text
    trial = Trial(tiny, routed=False, replicas=1)
    trial.check("3")
    assert not trial.wrong, (trial.wrong, text)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_fills_while_a_step_runs(small_disk: Tiny) -> None:
    tiny, home = small_disk, small_disk.site.home
    mark = f"{uuid.uuid4().int % 10**8 + 10**8}"
    tiny.release("2", Dockerfile=DOCKERFILE.replace("STOPSIGNAL", f"RUN sleep {mark}\nSTOPSIGNAL"))
    push = tiny.clone.start_push(tiny.remote)
    wait_until(lambda: running(mark), 20, "the step")
    filler = fill(home, 500_000)
    text, _ = push.communicate(timeout=20)
    assert "FAILED at Build: " in text, text
    assert "MB free, less than the 1 MB of server.min_free" in text
    assert not running(mark)
    assert tiny.get() == "1"
    filler.unlink()
    tiny.release("3", Dockerfile=DOCKERFILE)
    assert "is live" in tiny.push().text


def test_a_clock_that_jumps(make_tiny: MakeTiny, tmp_path: Path) -> None:
    tiny = make_tiny()
    tiny.release("0", Dockerfile=DOCKERFILE.replace("STOPSIGNAL", "RUN sleep 2\nSTOPSIGNAL"))
    ref = tiny.site.gogs.repository(tiny.name) / "refs/heads/main"
    pushes = []
    for version, seconds in (("1", 3_000_000_000), ("2", 4_000_000_000), ("3", 1_000_000_000), ("4", 2_000_000_000)):
        directory = tmp_path / version
        directory.mkdir()
        (directory / "date").write_text(f"#!/bin/sh\necho {seconds}\n")
        (directory / "date").chmod(0o755)
        environ = {**tiny.remote.environ, "PATH": f"{directory}:{os.environ['PATH']}"}
        commit = tiny.release(version)
        pushes.append(tiny.clone.start_push(Remote(tiny.remote.url, environ)))
        wait_until(lambda: ref.exists() and ref.read_text().strip() == commit, 20, f"push {version}")  # noqa: B023
    for push in pushes:
        push.communicate(timeout=60)
    time.sleep(0.3)
    assert tiny.get() == "4"
    history = tiny.site.history(tiny.name)
    assert len(history) == 4
    assert all(d["status"] in ("succeeded", "superseded", "unchanged") for d in history)
    assert list((tiny.site.home / "spool").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="making a process namespace needs root")
def test_the_git_servers_container_is_restarted(make_tiny: MakeTiny) -> None:
    """All its processes are killed at once, the worker in its own session too; the next push finds what they left."""
    tiny = make_tiny()
    assert "1 is live" in tiny.push("1").text
    tiny.release("2", Dockerfile=DOCKERFILE.replace("STOPSIGNAL", "RUN sleep 2\nSTOPSIGNAL"))
    contained = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "git", "-C", str(tiny.clone.path)]
    with subprocess.Popen([*contained, "push", tiny.remote.url, "main"], env={**os.environ, **tiny.remote.environ}) as push:
        log = tiny.site.home / "logs" / tiny.name / "2.log"
        wait_until(lambda: log.exists() and "RUN sleep" in log.read_text(), 30, "the build")
        push.kill()
    lock = tiny.site.home / "locks" / f"{tiny.name}.lock"
    wait_until(lambda: not held(str(lock)), 10, "the end of all processes")
    assert tiny.get() == "1"
    assert len(list((tiny.site.home / "spool").glob("*.push"))) == 1
    tiny.site.run("worker", "--once")
    trial = Trial(tiny, routed=False, replicas=1)
    trial.expect("serving", tiny.get(), "2")
    assert "3 is live" in tiny.push("3").text
    for console in (tiny.site.home / "spool").glob("*.console"):  # swept after a day
        console.unlink()
    trial.check("3")
    assert not trial.wrong


@pytest.mark.parametrize("logs", sample([True, False], False), ids=["with-logs", "without-logs"])
def test_the_history_is_lost(logs: bool, make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    assert "1 is live" in tiny.push("1").text
    wait_until(lambda: not tiny.site.workers(), 30, "the worker's end")
    for path in tiny.site.home.glob("state.db*"):
        path.unlink()
    if not logs:
        shutil.rmtree(tiny.site.home / "logs" / "devops")
    assert "2 is live" in tiny.push("2").text
    trial = Trial(tiny, routed=False, replicas=1)
    trial.check("2")
    assert not trial.wrong
    assert [d["id"] for d in tiny.site.history(tiny.name)] == [2]
