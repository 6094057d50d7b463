"""hooks/post-receive, its decisions: which pushes it records, what a record says, and what the pusher hears of a failure."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gitdeploy.push import RefUpdate
from tests.support import hooks
from tests.support.hooks import DEPLOYS, NEW, OLD, ZERO, HookSite

SHELLS = {"dash": ["/bin/dash"], "bash": ["/bin/bash"], "busybox": ["/bin/busybox", "sh"]}


@pytest.fixture(params=SHELLS)
def site(request: pytest.FixtureRequest, open_path: Path) -> HookSite:
    """A repository that deploys main, in a path with a space, once for each shell."""
    shell: Sequence[str] = SHELLS[request.param]
    made = hooks.create(open_path / "a directory", shell)
    made.configure("refs/heads/main")
    return made


def test_repository_that_is_not_enrolled(site: HookSite) -> None:
    (site.repository / "gitdeploy.conf").unlink()
    result = site.push()
    assert (result.code, result.text) == (0, "")
    assert site.workers() == []
    assert site.waiting() == []


def test_other_branches_start_no_process(site: HookSite) -> None:
    result = site.run(f"{OLD} {NEW} refs/heads/feature", f"{ZERO} {NEW} refs/tags/main", environ={"PATH": "/nonexistent"})
    assert (result.code, result.text) == (0, "")
    assert site.waiting() == []


def test_shell_reads_no_further_when_nothing_matches(site: HookSite) -> None:
    hook = site.repository / "custom_hooks" / "post-receive"
    text = hook.read_text()
    fast = text[: text.index("# --- a push that concerns us")]
    hook.write_text(fast + "\n)( this is no shell script")
    assert site.run(f"{OLD} {NEW} refs/heads/feature").text == ""


def test_record(site: HookSite) -> None:
    environ = {
        "GOGS_AUTH_USER_NAME": "alice",
        "GOGS_REPO_ID": "12",
        "GIT_PUSH_OPTION_COUNT": "3",
        "GIT_PUSH_OPTION_0": "gitdeploy.skip",
        "GIT_PUSH_OPTION_1": "text with  $(touch pwned) `spaces` \\n 'and' \"quotes\" *",
        "GIT_PUSH_OPTION_2": "ends in a backslash\\",
    }
    before = int(time.time())
    assert site.push(environ=environ).code == 0
    (record,) = site.seen()
    assert before <= int(record.name.partition("-")[0]) <= time.time()
    assert record.app == "devops/dev-app"
    assert Path(record.repo) == site.repository.resolve()
    assert record.user == "alice"
    assert record.options == tuple(environ[f"GIT_PUSH_OPTION_{i}"] for i in range(3))
    assert record.refs == (RefUpdate(OLD, NEW, "refs/heads/main"),)
    assert record.console == f"{record.name}.console"
    path = site.home / "seen" / f"{record.name}.push"
    assert "\nrepo-id 12\n" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert site.workers() == ["worker --once"]


def test_option_with_a_newline_forges_no_line(site: HookSite) -> None:
    forged = f"x\nref {OLD} {NEW} refs/heads/evil"
    environ = {"GIT_PUSH_OPTION_COUNT": "2", "GIT_PUSH_OPTION_0": forged, "GIT_PUSH_OPTION_1": "kept"}
    site.push(environ=environ)
    (record,) = site.seen()
    assert record.options == ("kept",)
    assert [ref.name for ref in record.refs] == ["refs/heads/main"]


def test_ten_refs_at_once(site: HookSite) -> None:
    site.configure("refs/heads/main", "refs/heads/release/*", "refs/tags/v[0-9]*")
    names = [
        "heads/a",
        "heads/main",
        "heads/release/1/x",
        "heads/releases",
        "tags/v1",
        "tags/vv",
        "heads/mainline",
        "notes/main",
    ]
    names += ["tags/main", "heads/release/$(touch pwned)"]
    site.run(*(f"{OLD} {NEW} refs/{name}" for name in names))
    (record,) = site.seen()
    expected = ["refs/heads/main", "refs/heads/release/1/x", "refs/tags/v1", "refs/heads/release/$(touch pwned)"]
    assert [ref.name for ref in record.refs] == expected
    assert not (site.repository / "pwned").exists()


def test_several_thousand_matching_refs_keep_the_last(site: HookSite) -> None:
    site.configure("refs/tags/*")
    site.run(*(f"{ZERO} {NEW} refs/tags/v{i}" for i in range(2500)))
    (record,) = site.seen()
    assert record.refs[-1].name == "refs/tags/v2499"
    assert len(record.refs) <= 1000


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "garbage",
        f"{OLD} {NEW}",
        f"{OLD} {NEW[:39]} refs/heads/main",
        f"{OLD[:-1]}; {NEW} refs/heads/main",
        "\u20ac \x01 \x7f",
    ],
)
def test_input_that_is_no_ref_update(site: HookSite, line: str) -> None:
    result = site.run(line)
    assert (result.code, result.text) == (0, "")
    assert site.waiting() == []


def test_last_line_without_newline(site: HookSite) -> None:
    process = subprocess.run(
        [*site.shell, str(site.repository / "custom_hooks" / "post-receive")],
        cwd=site.repository,
        env=dict(site.environ),
        input=f"{OLD} {NEW} refs/heads/main".encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert process.stderr == b""
    assert len(site.seen()) == 1


def test_sha256_repository(site: HookSite) -> None:
    site.run(f"{'1' * 64} {'2' * 64} refs/heads/main")
    (record,) = site.seen()
    assert record.refs[0].new == "2" * 64


def test_deleted_ref_keeps_the_app_running(site: HookSite) -> None:
    result = site.run(f"{OLD} {ZERO} refs/heads/main")
    assert result.lines == ["gitdeploy: refs/heads/main was deleted; devops/dev-app keeps running what it runs."]
    assert result.code == 0
    assert site.waiting() == []


def test_deletion_beside_an_update(site: HookSite) -> None:
    site.configure("refs/heads/*")
    result = site.run(f"{OLD} {ZERO} refs/heads/old", f"{OLD} {NEW} refs/heads/main")
    assert "refs/heads/old was deleted" in result.lines[0]
    (record,) = site.seen()
    assert [ref.name for ref in record.refs] == ["refs/heads/main"]


def test_config_edited_since_leaves_the_choice_to_the_worker(site: HookSite) -> None:
    later = time.time() + 10
    os.utime(site.home / "config.toml", (later, later))
    site.run(f"{OLD} {NEW} refs/heads/feature", f"{OLD} {NEW} refs/tags/x", f"{OLD} {NEW} refs/notes/x")
    (record,) = site.seen()
    assert [ref.name for ref in record.refs] == ["refs/heads/feature", "refs/tags/x"]


@pytest.mark.parametrize("mask", ["000", "027", "077", "777"])
def test_odd_umask(site: HookSite, mask: str) -> None:
    assert site.push(prefix=["sh", "-c", f'umask {mask}; exec "$@"', "sh"]).code == 0
    (record,) = site.seen()
    assert stat.S_IMODE((site.home / "seen" / f"{record.name}.push").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "environ",
    [
        {"IFS": "/x1-", "PATH": "/nonexistent"},
        {"PATH": "", "LC_ALL": "xx_YY.UTF-8", "LANG": "tr_TR.UTF-8", "HOME": ""},
        {"ENV": "/nonexistent/env", "BASH_ENV": "/nonexistent/env", "CDPATH": "/tmp", "POSIXLY_CORRECT": "1"},
        {"app": "evil/app", "home": "/nonexistent", "limit": "0", "mode": "agent", "refs": "x", "input": "y"},
        {"GIT_PUSH_OPTION_COUNT": "0", "GIT_QUARANTINE_PATH": "/nonexistent", "GIT_OBJECT_DIRECTORY": "/nonexistent"},
    ],
    ids=["ifs", "locale", "startup", "variables", "git"],
)
def test_odd_environment(site: HookSite, environ: dict[str, str]) -> None:
    result = site.push(environ=environ)
    assert result.code == 0
    assert result.lines[-1] == "live"
    assert site.waiting() == []


def test_previous_hook_runs_first_with_the_same_input_and_environment(site: HookSite) -> None:
    previous = site.repository / "custom_hooks" / "post-receive.before-gitdeploy"
    previous.write_text('#!/bin/sh\ncat >seen\necho "previous: $GIT_PUSH_OPTION_0, $GIT_DIR, $PATH"\nexit 3\n')
    previous.chmod(0o755)
    updates = [f"{OLD} {NEW} refs/heads/feature\twith  odd * text\\", f"{OLD} {NEW} refs/heads/main"]
    result = site.run(*updates, environ={"GIT_PUSH_OPTION_COUNT": "1", "GIT_PUSH_OPTION_0": "one"})
    assert (site.repository / "seen").read_text() == "".join(f"{update}\n" for update in updates)
    assert result.lines[0] == f"previous: one, ., {site.environ['PATH']}"
    assert result.lines[-1] == "live"
    assert result.code == 0


def test_previous_hook_runs_for_other_branches_and_without_enrolment(site: HookSite) -> None:
    previous = site.repository / "custom_hooks" / "post-receive.before-gitdeploy"
    previous.write_text("#!/bin/sh\necho ran\n")
    previous.chmod(0o755)
    assert site.run(f"{OLD} {NEW} refs/heads/feature").text == "ran\n"
    (site.repository / "gitdeploy.conf").unlink()
    assert site.push().text == "ran\n"


def test_previous_hook_that_is_not_executable_stays_off(site: HookSite) -> None:
    (site.repository / "custom_hooks" / "post-receive.before-gitdeploy").write_text("#!/bin/sh\necho ran\n")
    assert site.run(f"{OLD} {NEW} refs/heads/feature").text == ""


def test_no_home_exists(site: HookSite) -> None:
    site.configure("refs/heads/main", homes=("/nonexistent/one", "/nonexistent/two"))
    result = site.push()
    assert result.code == 0
    assert "'home'" in result.lines[0]
    assert "install.sh" in result.lines[1]
    assert "gitdeploy deploy devops/dev-app" in result.lines[1]


def test_spool_is_missing(site: HookSite) -> None:
    site.spool.rmdir()
    result = site.push()
    assert result.code == 0
    assert f"the spool directory {site.spool} does not exist" in result.lines[0]
    assert "gitdeploy deploy devops/dev-app" in result.lines[1]


def test_spool_of_another_user(site: HookSite) -> None:
    site.spool.chmod(0o700)
    result = site.push(prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    assert result.code == 0
    assert f"may not write to {site.spool}" in result.lines[0]
    assert site.waiting() == []


def test_no_space(site: HookSite) -> None:
    full = 'mount -t tmpfs -o size=4k tmpfs "$SPOOL" && dd if=/dev/zero of="$SPOOL/filler" 2>/dev/null; exec "$@"'
    result = site.push(prefix=["unshare", "--mount", "sh", "-c", full, "sh"], environ={"SPOOL": str(site.spool)})
    assert result.code == 0
    assert "No space left on device" in result.lines[0]
    assert "Nothing was deployed" in result.lines[1]
    assert site.workers() == []


def test_worker_gets_nothing_of_the_servers_environment(site: HookSite) -> None:
    site.worker("env >../environ; ls -l /proc/self/fd >../descriptors" + DEPLOYS)
    allowed = {"HOME": "/home/git", "USER": "git", "LANG": "C", "TZ": "UTC", "DOCKER_HOST": "unix:///x", "DOCKER_CONFIG": "/c"}
    allowed |= {"HTTPS_PROXY": "http://user:sentinel@proxy", "no_proxy": "localhost"}
    secret = {"GOGS_REPO_OWNER_SALT_MD5": "sentinel", "DB_PASSWD": "a\nPATH=b\nc", "GIT_DIR": ".", "GIT_PUSH_OPTION_0": "x"}
    secret |= {"PYTHONPATH": "/evil", "LD_LIBRARY_PATH": "/evil", "BASH_ENV": "/evil", "SSH_ORIGINAL_COMMAND": "1"}
    assert site.push(environ={**secret, **allowed}).lines[-1] == "live"
    seen = dict(line.split("=", 1) for line in (site.home / "environ").read_text().splitlines())
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {name: value for name, value in seen.items() if name not in {*shells_own, "PATH"}} == allowed
    assert seen["PATH"].startswith(site.environ["PATH"])
    targets = re.findall(r"-> (.*)", (site.home / "descriptors").read_text())
    assert [target for target in targets if target.startswith(("pipe:", "socket:", "/dev/pts"))] == []
