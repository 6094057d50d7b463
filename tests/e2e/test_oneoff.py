"""`gitdeploy run` and `gitdeploy exec`, as a person uses them: on a terminal, through pipes, and with mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gitdeploy.releases.release import ONE_OFF
from tests.e2e.conftest import Deployable
from tests.support.net import wait_until
from tests.support.terminals import Terminal, on_a_terminal


@pytest.fixture(autouse=True)
def nothing_is_left(docker_client: docker.DockerClient, app_name: str) -> Iterator[None]:
    """In the end, no container of a command is there."""
    yield
    assert one_offs(docker_client, app_name) == []


def one_offs(client: docker.DockerClient, app: str) -> list[str]:
    return [c.id for c in client.containers.list(all=True, sparse=True, filters={"label": [f"gitdeploy.app={app}", ONE_OFF]})]


def command(app: Deployable, *arguments: str) -> list[str]:
    return [str(app.site.home / "bin" / "gitdeploy"), *arguments]


def on_terminal(app: Deployable, verb: str, *words: str) -> Iterator[Terminal]:
    with on_a_terminal(command(app, verb, app.name, "-it", *words), {**os.environ, **app.site.environ}) as terminal:
        yield terminal


def test_a_shell_on_a_terminal(running: Deployable) -> None:
    for terminal in (terminal for verb in ("run", "exec") for terminal in on_terminal(running, verb, "sh")):
        terminal.type(b"stty size; cat VERSION; tty\n")
        terminal.expect(b"30 100\r\n1.0.0\r\n/dev/pts/0")
        terminal.resize(41, 121)
        # One program: in the shell's own time between two, Ctrl-C ends neither.
        terminal.type(b"sh -c 'echo begun; exec sleep 600'\n")
        terminal.expect(b"\r\nbegun")
        terminal.type(b"\x03")
        terminal.expect(b"^C")  # with which the kernel drops what was typed ahead
        terminal.type(b"stty size; exit 9\n")
        terminal.expect(b"41 121")
        assert terminal.wait() == 9
        assert terminal.cooked


def test_run_has_what_the_release_has_but_its_place(
    app: Deployable, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    secrets = app.site.home / "app.env"
    secrets.write_text("PASSWORD=hunter22\n")
    secrets.chmod(0o600)
    table = f'[apps."{app.name}".run]\nmemory = "64MiB"\nhostname = "the-app"\n'
    app.site.configure(f'env_file = "{secrets}"\nenv = {{ COLOUR = "blue" }}\nvolumes = ["{app.container}:/kept"]\n{table}')
    app.clone.release("1.0.0")
    said = app.clone.push(app.remote).text
    assert "is live" in said, said
    try:
        script = "echo $COLOUR $PASSWORD; cat VERSION; echo told >/kept/note; cat; cat /proc/self/mounts >&2; exit 5"
        done = subprocess.run(
            command(app, "run", app.name, "-i", "sh", "-c", script),
            env={**os.environ, **app.site.environ},
            input=b"given\n",
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (5, b"blue hunter22\n1.0.0\ngiven\n")
        assert b" /kept " in done.stderr
        assert app.site.run("exec", app.name, "cat", "/kept/note").stdout == "told\n"
        assert app.get() == "dev-app 1.0.0"
        lines = [json.loads(line) for line in (app.site.home / "audit.jsonl").read_text().splitlines()]
        told = [(line["how"], line["reason"], line["version"]) for line in lines if line["how"] in ("run", "exec")]
        assert told == [("run", "sh", "1.0.0"), ("exec", "cat", "1.0.0")]
        assert "echo told" not in (app.site.home / "audit.jsonl").read_text()
    finally:
        app.site.run("remove", app.name, check=None)


def test_ends(running: Deployable, docker_client: docker.DockerClient) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        ended_by(running, docker_client, number)
    labels = {"gitdeploy.app": running.name, ONE_OFF: "run"}
    left = docker_client.containers.run(running.image + ":1.0.0", ["true"], labels=labels, detach=True)
    left.wait()
    assert "removing what was left of commands" in running.site.run("prune", running.name).stdout


def ended_by(running: Deployable, docker_client: docker.DockerClient, number: signal.Signals) -> None:
    """A command ends, and its container goes, when `gitdeploy run` gets this signal."""
    script = "trap 'echo bye; exit 4' INT TERM HUP; echo ready; while :; do sleep 0.05; done"
    options = ["-i"] if number == signal.SIGKILL else []
    script = "echo ready; read line; echo end" if number == signal.SIGKILL else script
    program = subprocess.Popen(
        command(running, "run", running.name, *options, "sh", "-c", script),
        env={**os.environ, **running.site.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert program.stdout
    assert program.stdout.readline() == b"ready\n"
    program.send_signal(number)
    output, _ = program.communicate(timeout=30)
    if number == signal.SIGKILL:  # then its input ends, and it by that; the engine removes it
        assert program.returncode == -signal.SIGKILL
        wait_until(lambda: not one_offs(docker_client, running.name), 20, "the end of the command")
    else:
        assert (program.returncode, output) == (4, b"bye\n")


def test_mistakes(app: Deployable, docker_client: docker.DockerClient) -> None:
    def refused(*arguments: str, code: int) -> str:
        done = app.site.run(*arguments, check=code)
        assert (done.stdout, "Traceback" in done.stderr) == ("", False)
        return done.stderr

    for verb in ("run", "exec"):
        assert "expected APP as owner/repo" in refused(verb, "nothing", "true", code=2)
        assert "there is no app no/such" in refused(verb, "no/such", "true", code=2)
        assert f"nothing of {app.name} was ever live" in refused(verb, app.name, "true", code=2)
    app.clone.release("1.0.0")
    assert "is live" in app.clone.push(app.remote).text
    for verb in ("run", "exec"):
        assert "expected a command, found none" in refused(verb, app.name, code=2)
        assert "there is no option '--rm'" in refused(verb, app.name, "--rm", "true", code=2)
        assert "-t: the input device is not a terminal" in refused(verb, app.name, "-it", "sh", code=2)
        assert "has no process 'worker'" in refused(verb, f"{app.name}/worker", "true", code=2)
        assert "nosuch: there is no such program in the image" in refused(verb, app.name, "nosuch", "x", code=127)
        assert "/etc/passwd: permission denied" in refused(verb, app.name, "/etc/passwd", code=126)
        assert app.site.run(verb, f"{app.name}/web", "cat", "VERSION").stdout == "1.0.0\n"
    app.site.run("stop", app.name)
    assert f"gitdeploy start {app.name}" in refused("exec", app.name, "true", code=2)
    assert app.site.run("run", app.name, "cat", "VERSION").stdout == "1.0.0\n"  # a stopped app can be looked after
    app.site.run("start", app.name)
    docker_client.containers.get(app.container).kill()
    assert f"no container of {app.name} runs" in refused("exec", app.name, "true", code=1)
    docker_client.containers.get(app.container).remove(force=True)
    for tag in docker_client.images.get(f"{app.image}:1.0.0").tags:
        docker_client.images.remove(tag)
    assert "1.0.0, which is live, is no longer on the engine" in refused("run", app.name, "true", code=1)
