"""The hook behind Gogs: pushes over every transport, and those of its web editor."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from gitdeploy.gitserver.enrolment import enrol
from gitdeploy.gitserver.hookconf import HookConf
from tests.support import gogs
from tests.support.apps import SampleApp
from tests.support.hooks import DEPLOYS, HookSite, assert_clean
from tests.support.net import wait_until


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
    site.worker("until [ -e ../push-is-over ]; do sleep 0.05; done\n" + DEPLOYS)
    sample_app.release("0.0.1")
    remote = gogs_dir.local("Devops/Dev-App")
    editor = tmp_path / "gogs"
    editor.write_text(WEB_EDITOR)
    editor.chmod(0o755)
    environ = {**os.environ, **remote.environ}
    subprocess.run([editor, sample_app.path, remote.url], env=environ, check=True, capture_output=True, timeout=30)
    (name,) = site.waiting()
    assert "console" not in (site.spool / name).read_text()
    (site.home / "push-is-over").touch()
    wait_until(lambda: len(site.seen()) == 1, 20, "the worker")
