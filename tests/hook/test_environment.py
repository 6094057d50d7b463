"""The hook in odd environments: what it takes from them, and what it passes on to the earlier hook and to the worker."""

from __future__ import annotations

import re

import pytest

from tests.support.hooks import DEPLOYS, NEW, OLD, HookSite


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
