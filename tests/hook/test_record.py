"""What the hook records, and the one line that the pusher hears when it cannot."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from gitdeploy.intake.push import RefUpdate
from tests.support.hooks import NEW, OLD, HookSite


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


def test_a_record_never_gets_too_large_to_be_read(site: HookSite) -> None:
    options = {f"GIT_PUSH_OPTION_{i}": f"gitdeploy.x{i}=" + "ü" * 20_000 for i in range(10)}
    site.configure("refs/heads/*")
    updates = [f"{OLD} {NEW} refs/heads/{'ü' * 1000}/{number}" for number in range(1200)]
    result = site.run(*updates, environ={"GIT_PUSH_OPTION_COUNT": "10", **options})
    assert result.lines[-1] == "live"
    (record,) = site.seen()
    assert [option[:12] for option in record.options] == [f"gitdeploy.x{i}" for i in range(10)]
    assert record.refs[-1].name == f"refs/heads/{'ü' * 1000}/1199"


def test_too_many_push_options_are_refused(site: HookSite) -> None:
    environ = {"GIT_PUSH_OPTION_COUNT": "101", **{f"GIT_PUSH_OPTION_{i}": "x" for i in range(101)}}
    result = site.push(environ=environ)
    assert result.lines[0] == "gitdeploy: expected at most 100 push options (git push -o), found 101."
    assert result.lines[1].startswith("gitdeploy: Nothing was deployed")
    assert (site.waiting(), site.workers()) == ([], [])


@pytest.mark.parametrize("mask", ["000", "027", "077", "777"])
def test_odd_umask(site: HookSite, mask: str) -> None:
    assert site.push(prefix=["sh", "-c", f'umask {mask}; exec "$@"', "sh"]).code == 0
    (record,) = site.seen()
    assert stat.S_IMODE((site.home / "seen" / f"{record.name}.push").stat().st_mode) == 0o600


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
