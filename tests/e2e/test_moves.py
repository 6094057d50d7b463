"""What moves a deployed ref without running Gogs' custom hooks is deployed all the same, once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Deployable
from tests.support.gogs import Remote
from tests.support.net import wait_until


def git(app: Deployable, *arguments: str) -> None:
    """Runs git in the app's repository, in Gogs' place: without the environment of a push."""
    subprocess.run(["git", "-C", app.site.gogs.repository(app.name), *arguments], check=True)


def statuses(app: Deployable) -> list[tuple[str, str]]:
    return [(d["trigger"], d["status"]) for d in app.site.history(app.name)]


def idle(app: Deployable) -> bool:
    """Whether no push waits and no worker runs."""
    return not list((app.site.home / "spool").glob("*.push"))


def wait_for(app: Deployable, version: str) -> None:
    """Waits until this version is live."""
    live = [("succeeded", version)]
    wait_until(lambda: [(d["status"], d["version"]) for d in app.site.history(app.name)[:1]] == live, 30, f"{version} live")
    wait_until(lambda: idle(app), 10, "the worker's end")


@pytest.fixture
def live(app: Deployable) -> Deployable:
    """An app with a first version live."""
    app.clone.release("1.0.0")
    assert "1.0.0 is live" in app.clone.push(app.remote).text
    return app


def test_a_pull_request_merged_in_the_web_page(live: Deployable) -> None:
    """Gogs merges in a clone of its own and pushes that without any of a push's environment (internal/database/pull.go)."""
    live.clone.release("1.0.1")
    merged = live.clone.push(Remote(str(live.site.gogs.repository(live.name))))
    assert merged.code == 0
    assert "gitdeploy" not in merged.text
    wait_for(live, "1.0.1")
    assert live.get() == "dev-app 1.0.1"
    assert statuses(live) == [("move", "succeeded"), ("push", "succeeded")]


def test_a_mirror_that_is_fetched(live: Deployable) -> None:
    live.clone.release("1.0.1")
    git(live, "fetch", "--quiet", str(live.clone.path), "main:main")
    wait_for(live, "1.0.1")
    git(live, "fetch", "--quiet", str(live.clone.path), "main:main")
    git(live, "gc", "--quiet")
    git(live, "pack-refs", "--all", "--no-prune")
    wait_until(lambda: idle(live), 10, "the worker's end")
    assert statuses(live) == [("move", "succeeded"), ("push", "succeeded")]


def test_a_ref_moved_by_hand_and_back(live: Deployable) -> None:
    first = live.clone.git("rev-parse", "HEAD")
    live.clone.release("1.0.1")
    assert "1.0.1 is live" in live.clone.push(live.remote).text
    git(live, "update-ref", "refs/heads/main", first)
    wait_for(live, "1.0.0")
    assert statuses(live) == [("move", "succeeded"), ("push", "succeeded"), ("push", "succeeded")]


def test_a_move_that_fails_is_not_tried_again_by_packing_refs(live: Deployable) -> None:
    live.clone.release("1.0.1", {"Dockerfile": "FROM gitdeploy-test/python:1\nRUN false\n"})
    git(live, "fetch", "--quiet", str(live.clone.path), "main:main")
    wait_until(lambda: statuses(live)[0] == ("move", "failed"), 30, "the failure")
    git(live, "pack-refs", "--all")
    git(live, "gc", "--quiet")
    wait_until(lambda: idle(live), 10, "the worker's end")
    assert statuses(live) == [("move", "failed"), ("push", "succeeded")]
    assert live.get() == "dev-app 1.0.0"


def test_other_branches_and_deletions_move_nothing(live: Deployable) -> None:
    git(live, "branch", "feature", "main")
    git(live, "update-ref", "-d", "refs/heads/main")
    assert idle(live)
    assert statuses(live) == [("push", "succeeded")]
    assert live.get() == "dev-app 1.0.0"


def test_a_hook_that_was_put_in_the_place_of_ours_is_not_run_for_moves(live: Deployable, tmp_path: Path) -> None:
    hook = live.site.gogs.repository(live.name) / "custom_hooks/post-receive"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    live.clone.release("1.0.1")
    git(live, "fetch", "--quiet", str(live.clone.path), "main:main")
    assert not (tmp_path / "ran").exists()


def test_an_earlier_hook_is_run_by_pushes_alone(app: Deployable, tmp_path: Path) -> None:
    previous = app.site.gogs.repository(app.name) / "custom_hooks/post-receive.before-gitdeploy"
    previous.write_text(f"#!/bin/sh\ncat >>{tmp_path}/ran\n")
    previous.chmod(0o755)
    first = app.clone.release("1.0.0")
    assert "1.0.0 is live" in app.clone.push(app.remote).text
    app.clone.release("1.0.1")
    git(app, "fetch", "--quiet", str(app.clone.path), "main:main")
    wait_for(app, "1.0.1")
    assert (tmp_path / "ran").read_text() == f"{'0' * 40} {first} refs/heads/main\n"


def test_removing_takes_the_hook_out_and_leaves_that_of_somebody_else(app: Deployable) -> None:
    hooks = app.site.gogs.repository(app.name) / "hooks"
    app.site.run("remove", app.name)
    assert sorted(path.name for path in hooks.iterdir()) == ["post-receive", "pre-receive", "update"]
    (hooks / "reference-transaction").write_text("#!/bin/sh\nexit 0\n")
    app.site.run("enrol", app.name)
    app.site.run("remove", app.name)
    assert (hooks / "reference-transaction").read_text() == "#!/bin/sh\nexit 0\n"
