"""hooks/post-receive while a worker deploys: the console reaches the pusher, who may go at any time; nothing is left over."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gitdeploy.enrol import enrol
from gitdeploy.hookconf import HookConf
from tests.support import gogs, hooks
from tests.support.apps import SampleApp
from tests.support.hooks import DEPLOYS, NEW, OLD, SIGNALS, HookSite
from tests.support.net import wait_until

SHELLS = {"dash": ["/bin/dash"], "bash": ["/bin/bash"], "busybox": ["/bin/busybox", "sh"]}
MAIN = f"{OLD} {NEW} refs/heads/main"

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


@pytest.fixture(params=SHELLS)
def site(request: pytest.FixtureRequest, open_path: Path) -> HookSite:
    """A repository that deploys main, once for each shell."""
    shell: Sequence[str] = SHELLS[request.param]
    made = hooks.create(open_path / "a directory", shell)
    made.configure("refs/heads/main")
    return made


def first_line(process: subprocess.Popen[bytes]) -> str:
    """Reads one line of what the hook says."""
    assert process.stdout is not None
    return process.stdout.readline().decode()


def assert_clean(site: HookSite) -> None:
    """Nothing of the hook is left; what the kernel has still to reap gets a moment."""
    try:
        wait_until(lambda: site.leftovers() == [], 2, "an end of the hook without leftovers")
    except TimeoutError:
        assert site.leftovers() == []


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
    wait_until((site.home / "done").exists, 5, "the worker's end")
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
    wait_until((site.home / "done").exists, 5, "the worker's end")
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
    wait_until(lambda: len(site.seen()) == accepted, 5, "as many deployments as hooks that went on")
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
    wait_until((site.home / "done").exists, 5, "the worker's end")
    assert len(site.workers()) == 1
    assert_clean(site)


def test_pusher_reads_nothing_until_the_end(site: HookSite) -> None:
    site.worker(DEPLOYS.replace('echo "live"', "seq 100000"))
    process = site.start(MAIN)
    wait_until(lambda: site.waiting() == [], 5, "the worker's start")
    time.sleep(0.2)
    text, _ = process.communicate(timeout=20)
    assert text.endswith(b"\n100000\n")
    assert_clean(site)


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


@pytest.mark.parametrize(
    "before", ["", 'for name in $(waiting); do open_console "$name"; echo "building" >&5; done'], ids=["early", "late"]
)
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
    wait_until(lambda: len(site.waiting()) == 2 and len(site.workers()) == 1, 5, "the record")
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


@pytest.mark.parametrize("site", ["dash", "bash"], indirect=True)  # busybox has mkfifo built in
def test_no_named_pipes(site: HookSite, tmp_path: Path) -> None:
    (tmp_path / "mkfifo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "mkfifo").chmod(0o755)
    result = site.push(environ={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert result.code == 0
    assert "gitdeploy logs -f devops/dev-app" in result.lines[0]
    wait_until(lambda: len(site.seen()) == 1, 5, "the worker")
    assert site.seen()[0].console == ""


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
    wait_until(lambda: len(list(site.spool.glob("*.console"))) == 1, 5, "the console")
    (console,) = site.spool.glob("*.console")
    console.write_text("building\n")
    assert first_line(process) == "building\n"
    assert "started again" in first_line(process)
    wait_until(console.exists, 5, "a new console")
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


def enrolled(server: gogs.Gogs) -> HookSite:
    """Devops/Dev-App in a Gogs data directory, enrolled, with a stub worker."""
    repository = server.create_repository("Devops/Dev-App")
    home = server.data / "gitdeploy"
    for name in ("bin", "spool", "logs", "seen"):
        (home / name).mkdir(parents=True)
    site = HookSite(repository, home, ())
    enrol(server.data, repository, HookConf("devops/dev-app", [str(home)], ["refs/heads/main"], 60, "direct"))
    site.worker(DEPLOYS)
    server.own()
    return site


def test_push_through_gogs(gogs_dir: gogs.Gogs, transport: Callable[[str], gogs.Remote], sample_app: SampleApp) -> None:
    site = enrolled(gogs_dir)
    commit = sample_app.release("0.0.1")
    push = sample_app.push(transport("Devops/Dev-App"), options=["gitdeploy.no-cache"])
    assert push.code == 0
    assert "remote: deploying" in push.text
    assert "remote: live" in push.text
    (record,) = site.seen()
    assert (record.app, record.user, record.options) == ("devops/dev-app", "alice", ("gitdeploy.no-cache",))
    assert [(ref.new, ref.name) for ref in record.refs] == [(commit, "refs/heads/main")]
    assert Path(record.repo) == site.repository
    assert_clean(site)


# The parent of Gogs' web editor's `git push` is Gogs itself.
WEB_EDITOR = """\
#!/bin/sh
git -C "$1" push "$2" main
exit $?
"""


def test_push_of_the_web_editor_is_not_held(gogs_dir: gogs.Gogs, sample_app: SampleApp, tmp_path: Path) -> None:
    site = enrolled(gogs_dir)
    site.worker("sleep 2\n" + DEPLOYS)
    sample_app.release("0.0.1")
    remote = gogs_dir.local("Devops/Dev-App")
    editor = tmp_path / "gogs"
    editor.write_text(WEB_EDITOR)
    editor.chmod(0o755)
    start = time.monotonic()
    subprocess.run([editor, sample_app.path, remote.url], env={**os.environ, **remote.environ}, check=True, capture_output=True)
    assert time.monotonic() - start < 1.5
    (name,) = site.waiting()
    assert "console" not in (site.spool / name).read_text()
    wait_until(lambda: len(site.seen()) == 1, 5, "the worker")
