"""The Git servers of the tests do what Gogs does: what a custom hook gets, and what of its output reaches the pusher when."""

from __future__ import annotations

import random
import select
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support import apps, smart_http, sshd
from tests.support.gogs import Gogs, Remote

Transport = Callable[[str], Remote]

RECORD = """#!/bin/sh
{ env; pwd; cat; } >"$GOGS_REPO_CUSTOM_HOOKS_PATH/seen"
echo hook says hello
"""


def install(gogs: Gogs, script: str) -> Path:
    """Makes Devops/Dev-App with this post-receive hook; returns its custom_hooks directory."""
    hooks = gogs.create_repository("Devops/Dev-App") / "custom_hooks"
    hooks.mkdir()
    (hooks / "post-receive").write_text(script)
    (hooks / "post-receive").chmod(0o755)
    gogs.own()
    return hooks


def test_custom_hook_gets_what_gogs_gives(transport: Transport, gogs_dir: Gogs, sample_app: apps.SampleApp) -> None:
    hooks = install(gogs_dir, RECORD)
    commit = sample_app.release("0.0.1")

    pushed = sample_app.push(transport("Devops/Dev-App"))

    assert pushed.code == 0, pushed.text
    assert "remote: hook says hello" in pushed.text
    seen = (hooks / "seen").read_text().splitlines()
    expected = gogs_dir.hook_environment("Devops/Dev-App")
    assert expected["GOGS_REPO_ID"] == "1"
    assert {f"{name}={value}" for name, value in expected.items()} - set(seen) == set()
    assert seen[-2:] == [str(hooks.parent), f"{'0' * 40} {commit} refs/heads/main"]
    assert "Trigger task" in (gogs_dir.data / "gogs/log/hooks/post-receive.log").read_text()


def test_failing_custom_hook_is_told_and_the_push_stands(
    transport: Transport, gogs_dir: Gogs, sample_app: apps.SampleApp
) -> None:
    install(gogs_dir, "#!/bin/sh\nexit 1\n")
    commit = sample_app.release("0.0.1")

    pushed = sample_app.push(transport("Devops/Dev-App"))

    assert "remote: Gogs: Internal error" in pushed.text
    assert pushed.code == 0
    assert commit in sample_app.git("ls-remote", str(gogs_dir.repository("Devops/Dev-App")))


def test_plain_local_push_runs_no_custom_hook(gogs_dir: Gogs, sample_app: apps.SampleApp) -> None:
    hooks = install(gogs_dir, RECORD)
    sample_app.release("0.0.1")

    pushed = sample_app.push(Remote(str(gogs_dir.repository("Devops/Dev-App"))))

    assert pushed.code == 0
    assert not (hooks / "seen").exists()


def test_large_push_over_http(http_server: smart_http.HttpServer, gogs_dir: Gogs, sample_app: apps.SampleApp) -> None:
    install(gogs_dir, RECORD)
    noise = random.randbytes(3_000_000)  # more than http.postBuffer, so git sends it chunked
    commit = sample_app.release("0.0.1", {"noise": noise})

    pushed = sample_app.push(http_server.remote("devops/dev-app"))

    assert pushed.code == 0, pushed.text
    assert commit in sample_app.git("ls-remote", str(gogs_dir.repository("Devops/Dev-App")))


def test_git_runs_as_the_owner_of_the_data(gogs_dir_of_git: Gogs, open_path: Path, sample_app: apps.SampleApp) -> None:
    hooks = install(gogs_dir_of_git, '#!/bin/sh\nid -u >"$GOGS_REPO_CUSTOM_HOOKS_PATH/seen"\n')
    sample_app.release("0.0.1")
    (open_path / "sshd").mkdir()

    with sshd.serve(gogs_dir_of_git, open_path / "sshd", {}) as server:
        pushed = sample_app.push(server.remote("Devops/Dev-App"))

    assert pushed.code == 0, pushed.text
    assert (hooks / "seen").read_text() == "1000\n"


def push_to_a_waiting_hook(gogs: Gogs, app: apps.SampleApp, remote: Remote, size: int) -> tuple[bool, str]:
    """Pushes to a hook that prints `size` bytes, then waits; whether the pusher saw something by then, and all they saw."""
    hooks = install(gogs, f'#!/bin/sh\necho begin\nhead -c {size} /dev/zero | tr "\\0" x\nread -r _ <"$PWD/custom_hooks/go"\n')
    subprocess.run(["mkfifo", hooks / "go"], check=True)
    app.release("0.0.1")
    with app.start_push(remote) as process:
        assert process.stdout is not None
        # The hook has printed all when it opens the pipe to read, which is when opening it to write returns.
        with (hooks / "go").open("w") as go:
            early = bool(select.select([process.stdout], [], [], 0.5)[0])
            go.write("go\n")
        text = process.stdout.read()
    return early, text


def test_http_holds_small_output_back(http_server: smart_http.HttpServer, gogs_dir: Gogs, sample_app: apps.SampleApp) -> None:
    early, text = push_to_a_waiting_hook(gogs_dir, sample_app, http_server.remote("Devops/Dev-App"), 100)

    assert not early
    assert "remote: begin" in text


def test_http_passes_bursts_on(http_server: smart_http.HttpServer, gogs_dir: Gogs, sample_app: apps.SampleApp) -> None:
    early, text = push_to_a_waiting_hook(gogs_dir, sample_app, http_server.remote("Devops/Dev-App"), 9000)

    assert early
    assert "remote: begin" in text


def test_ssh_passes_output_on_at_once(ssh_server: sshd.Sshd, gogs_dir: Gogs, sample_app: apps.SampleApp) -> None:
    early, text = push_to_a_waiting_hook(gogs_dir, sample_app, ssh_server.remote("Devops/Dev-App"), 0)

    assert early
    assert "remote: begin" in text
