"""The one error boundary of the command line: a line, an exit status, and a traceback where it belongs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitdeploy import cli
from gitdeploy.cli import main
from gitdeploy.edge import pem
from gitdeploy.errors import ConfigError, UnfitError, UsageError
from tests.support.apps import SampleApp
from tests.support.gogs import Gogs
from tests.support.installed import CHECKOUT, Installed, install

APP = "devops/dev-app"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "logs").mkdir()
    monkeypatch.setenv("GITDEPLOY_HOME", str(tmp_path))
    return tmp_path


def fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """Runs a verb that raises this."""

    def dispatch(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_dispatch", dispatch)
    return main(["status"])


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (PermissionError(13, "Permission denied", "/srv/x"), 3, "gitdeploy: status: /srv/x: Permission denied"),
        (OSError(28, "No space left on device"), 3, "gitdeploy: status: No space left on device"),
        (BrokenPipeError(32, "Broken pipe"), 3, "gitdeploy: status: Broken pipe"),  # an engine's, for stdout is read
        (ValueError("quotes a secret"), 1, "gitdeploy: status: gitdeploy itself failed (ValueError)"),
        (RecursionError(), 1, "gitdeploy: status: gitdeploy itself failed (RecursionError)"),
    ],
)
def test_what_nobody_foresaw_is_a_line_and_a_traceback_in_the_log(
    error: Exception,
    status: int,
    said: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert fails(monkeypatch, error) == status
    shown = capfd.readouterr().err
    log = home / "logs" / "gitdeploy.log"
    assert shown.splitlines()[0] == said
    assert "Traceback" not in shown
    assert "quotes a secret" not in shown
    assert str(log) in shown
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_written_is_no_second_failure(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "logs").rmdir()
    assert fails(monkeypatch, ValueError()) == 1
    assert "no log could be written" in capfd.readouterr().err
    monkeypatch.delenv("GITDEPLOY_HOME")
    assert fails(monkeypatch, ValueError()) == 1


@pytest.mark.parametrize(("error", "status"), [(UsageError("u"), 2), (ConfigError(["c"]), 2), (UnfitError("e"), 3)])
def test_known_errors_have_their_status_and_no_traceback(
    error: Exception, status: int, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fails(monkeypatch, error) == status
    assert capfd.readouterr().err == f"gitdeploy: {error}\n"
    assert not (home / "logs" / "gitdeploy.log").exists()


def test_an_interrupt_is_quiet(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert fails(monkeypatch, KeyboardInterrupt()) == 130
    assert capfd.readouterr() == ("", "")


def test_nobody_reads_the_output(tmp_path: Path) -> None:
    script = "import sys, gitdeploy.cli as cli\ncli._dispatch = lambda *_: print('x' * 100000) or 0\nsys.exit(cli.main([]))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, cwd=CHECKOUT, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.fixture
def installed(gogs_dir: Gogs) -> Installed:
    installed = install(gogs_dir, {})
    installed.enrol(APP, "registry.example/dev-app", 8080)
    return installed


def send(installed: Installed, clone: SampleApp) -> str:
    """A commit that is in the repository, on no branch: no hook hears of it. Returns its id."""
    commit = clone.release("1")
    clone.git("push", "--quiet", str(installed.gogs.repository(APP)), "HEAD:refs/hidden/x")
    return commit


@pytest.mark.parametrize("verb", ["deploy", "status", "history", "worker"])
def test_a_state_db_that_cannot_be_read_is_said_at_once(verb: str, installed: Installed, sample_app: SampleApp) -> None:
    commit = send(installed, sample_app)
    (installed.home / "state.db").write_text("no database " * 100)
    arguments = {"deploy": ("deploy", APP, commit), "history": ("history", APP)}
    done = installed.run(*arguments.get(verb, (verb,)), check=3, timeout=30)
    assert "cannot be opened: file is not a database" in done.stderr
    assert "move" in done.stderr


def test_deploy_learns_that_no_worker_can_start(installed: Installed, sample_app: SampleApp) -> None:
    commit = send(installed, sample_app)
    python = installed.home / "no-worker"
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    script = (
        "import sys, gitdeploy.cli.follow as follow, gitdeploy.cli as cli\n"
        f"follow.sys = type('S', (), {{'executable': {str(python)!r}, 'stdout': sys.stdout, 'stderr': sys.stderr}})\n"
        f"sys.exit(cli.main(['deploy', '{APP}', '{commit}']))"
    )
    environ = {**os.environ, "GITDEPLOY_HOME": str(installed.home)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, cwd=CHECKOUT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "the request is kept" in done.stderr
    assert list((installed.home / "spool").glob("*.push"))


def test_ctrl_c_ends_the_waiting_quietly(installed: Installed, sample_app: SampleApp) -> None:
    bell = installed.home / "spool" / "bell"
    os.mkfifo(bell)
    reader = os.open(bell, os.O_RDWR | os.O_NONBLOCK)
    commit = send(installed, sample_app)
    command = [installed.home / "bin" / "gitdeploy", "deploy", APP, commit]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 20
    while not list((installed.home / "spool").glob("*.push")) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=10)
    os.close(reader)
    assert process.returncode == 130
    assert "Traceback" not in error


def test_config_check_reads_the_env_file(installed: Installed, sample_app: SampleApp) -> None:
    secrets = installed.home / "web.env"
    secrets.write_text("A=1\nexport B=hunter2\n")
    secrets.chmod(0o600)
    installed.enrol(APP, "registry.example/dev-app", 8080, f'\nenv_file = "{secrets}"\n')
    refused = installed.run("config", "check", check=2).stderr
    assert f"env_file: {secrets}, line 2: expected NAME=VALUE, found the shell's `export`" in refused
    assert "hunter2" not in refused
    secrets.write_text("A=1\nB=hunter2\n")
    assert "no mistakes" in installed.run("config", "check").stdout


def test_config_check_reads_what_domains_need(installed: Installed, sample_app: SampleApp) -> None:
    users, chain, page = (installed.home / name for name in ("users", "shop.pem", "away.html"))
    made = pem.self_made(("www.example.com",), time.time())
    table = (
        f'domains = ["shop.example.com"]\ntls = {{ certificate = "{chain}", key = "{chain}" }}\nproxy.basic_auth = "{users}"\n'
    )
    installed.enrol(APP, "registry.example/dev-app", 8080, f'{table}[edge]\nerror_page = "{page}"\n')
    for path, text in ((users, b"ann\n"), (chain, made.pem)):
        path.write_bytes(text)
        path.chmod(0o600)
    refused = installed.run("config", "check", check=2).stderr
    assert f"edge.error_page: {page} cannot be read" in refused
    assert f"{chain}: expected a certificate for shop.example.com, found one for www.example.com" in refused
    assert f"{users}, line 1: expected USER:PASSWORD" in refused
    page.write_text("<h1>Back soon</h1>")
    users.write_text("ann:hunter2\n")
    chain.write_bytes(pem.self_made(("shop.example.com",), time.time()).pem)
    assert "no mistakes" in installed.run("config", "check").stdout
