"""Every way in which a commit reaches a deployed branch of a real Gogs, and what its administrator may do to it."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable

import docker
import pytest

from tests.gogs.conftest import Deployable, Site, enrolled
from tests.support import guards
from tests.support.apps import SampleApp
from tests.support.gogs import Remote
from tests.support.net import wait_until
from tests.support.real_gogs import USER
from tests.support.registry import Registry


def remote(app: Deployable, way: str) -> Remote:
    return app.gogs.ssh(app.name) if way == "ssh" else app.gogs.http(app.name)


@pytest.mark.parametrize("way", ["ssh", "http"])
def test_push(app: Deployable, way: str) -> None:
    for version in ("1.0.0", "1.0.1"):
        app.clone.release(version)
        push = app.clone.push(remote(app, way))
        assert f"{version} is live at" in push.text, push.text
        app.live(version)
    assert app.told() == [("push", "succeeded")] * 2
    assert app.site.history(app.name)[0]["pusher"] == USER


def pushed(app: Deployable, version: str = "1.0.0") -> None:
    app.clone.release(version)
    assert "is live" in app.clone.push(app.gogs.ssh(app.name)).text


def pull(app: Deployable) -> None:
    app.clone.git("pull", "--quiet", str(app.gogs.gogs.repository(app.name)), "main")


def test_edit_through_the_api(app: Deployable) -> None:
    pushed(app)
    body = {"message": "Edit", "content": base64.b64encode(b"1.0.1\n").decode(), "branch": "main"}
    app.gogs.api("PUT", f"/repos/{app.name}/contents/VERSION", body)
    app.live("1.0.1")
    assert app.told() == [("push", "succeeded")] * 2


SLOW = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nRUN sleep 5\nCMD ["python3", "app.py"]\n'


@pytest.mark.parametrize("way", ["ssh", "http"])
def test_the_console_comes_while_the_deployment_runs(app: Deployable, way: str) -> None:
    """Over HTTP, too, where Gogs passes nothing on until its buffers are full."""
    app.clone.release("1.0.0", {"Dockerfile": SLOW})
    with app.clone.start_push(remote(app, way)) as push:
        assert push.stdout is not None
        seen = ""
        while "==> Build" not in seen:
            seen += (line := push.stdout.readline())
            assert line, seen
        assert app.told() == [("push", "running")]
        seen += push.stdout.read()
    assert "1.0.0 is live" in seen, seen
    assert "\0" not in seen


def test_edit_in_the_web_page_is_not_held(app: Deployable) -> None:
    app.clone.release("1.0.0", {"Dockerfile": SLOW})
    app.clone.push(app.gogs.ssh(app.name))
    page = f"/{app.name}/_edit/main/VERSION"
    began = time.monotonic()
    app.gogs.submit(
        page,
        page,
        tree_path="VERSION",
        content="1.0.1\n",
        commit_choice="direct",
        last_commit=app.clone.git("rev-parse", "HEAD"),
    )
    assert time.monotonic() - began < 4  # the build alone takes five seconds
    app.live("1.0.1")
    assert app.told() == [("push", "succeeded")] * 2


def test_a_file_deleted_and_one_uploaded_in_the_web_page(app: Deployable) -> None:
    app.clone.release("1.0.0", {"Dockerfile": SLOW, "page.txt": "hello"})
    app.clone.push(app.gogs.ssh(app.name))
    commit = {"commit_choice": "direct", "commit_summary": "", "commit_message": ""}
    page = f"/{app.name}/_delete/main/page.txt"
    app.gogs.submit(page, page, last_commit=app.clone.git("rev-parse", "HEAD"), **commit)
    wait_until(lambda: app.told() == [("push", "succeeded")] * 2, 60, f"the deployment: {app.told()}")
    page = f"/{app.name}/_upload/main"
    uuid = app.gogs.upload(page, f"/{app.name}/upload-file", "VERSION", b"1.0.1\n")
    app.gogs.submit(page, page, tree_path="", files=uuid, **commit)
    app.live("1.0.1")
    assert app.told() == [("push", "succeeded")] * 3


def test_pull_request_merged_in_the_web_page(app: Deployable) -> None:
    pushed(app)
    app.clone.git("checkout", "--quiet", "-b", "feature")
    app.clone.release("1.0.1")
    assert "gitdeploy" not in app.clone.push(app.gogs.ssh(app.name), "feature").text
    app.gogs.merge(app.name, "feature", 1)
    app.live("1.0.1")
    assert app.told() == [("move", "succeeded"), ("push", "succeeded")]


def test_mirror(
    site: Site,
    sample_app: SampleApp,
    registry: Registry,
    docker_client: docker.DockerClient,
    app_name: str,
    free_port: int,
) -> None:
    """An enrolled mirror is deployed when Gogs fetches what is new."""
    gogs, name = site.gogs, app_name.partition("/")[2]
    source = gogs.create_repository(f"{name}-source")
    sample_app.release("1.0.0")
    sample_app.push(gogs.ssh(source))
    mirror = f"{USER}/{name}"
    origin = {"clone_addr": gogs.seen(source), "mirror": True}
    gogs.api("POST", "/repos/migrate", {**origin, "uid": gogs.api("GET", "/user")["id"], "repo_name": name})
    with enrolled(site, mirror, sample_app, registry, docker_client, free_port) as app:
        sample_app.release("1.0.1")
        sample_app.push(gogs.ssh(source))
        gogs.api("POST", f"/repos/{mirror}/mirror-sync")
        app.live("1.0.1")
        assert app.told() == [("move", "succeeded")]


def test_new_repository_and_another_branch_deploy_nothing(app: Deployable) -> None:
    pushed(app)
    app.clone.release("1.0.1")
    assert "gitdeploy" not in app.clone.push(app.gogs.http(app.name), "HEAD:refs/heads/feature").text
    other = app.gogs.create_repository(f"{app.name.partition('/')[2]}-other")
    assert "gitdeploy" not in app.clone.push(app.gogs.ssh(other)).text
    assert app.told() == [("push", "succeeded")]


def wiki_over_ssh(app: Deployable) -> Remote:
    return app.gogs.ssh(f"{app.name}.wiki")


def wiki_over_http(app: Deployable) -> Remote:
    return app.gogs.http(f"{app.name}.wiki")


@pytest.mark.parametrize("way", [wiki_over_ssh, wiki_over_http])
def test_a_push_to_the_wiki_deploys_nothing(app: Deployable, way: Callable[[Deployable], Remote]) -> None:
    pushed(app)
    page = f"/{app.name}/wiki/_new"
    app.gogs.submit(page, page, title="Home", content="hello", message="First page")
    wiki = app.clone.path.with_name("wiki")
    subprocess.run(["git", "clone", "--quiet", app.gogs.gogs.repository(f"{app.name}.wiki"), wiki], check=True)
    clone = SampleApp(wiki)
    clone.release("6.6.6")
    assert clone.push(way(app), f"HEAD:refs/heads/{clone.git('branch', '--show-current')}").code == 0
    clone.push(way(app), "HEAD:refs/heads/main")
    wait_until(lambda: not app.site.waiting, 20, "the spool's end")
    assert app.told() == [("push", "succeeded")]


def fork(app: Deployable) -> str:
    """Forks the app's repository into an organization, in the web page; returns the fork's name."""
    team, repository = f"fork-{app.name[-6:]}", app.name.partition("/")[2]
    owner = app.gogs.api("POST", "/user/orgs", {"username": team})["id"]
    page = f"/repo/fork/{app.gogs.api('GET', f'/repos/{app.name}')['id']}"
    app.gogs.submit(page, page, user_id=str(owner), repo_name=repository, description="")
    assert app.gogs.gogs.repository(f"{team}/{repository}").is_dir()
    return f"{team}/{repository}"


def test_fork(app: Deployable) -> None:
    pushed(app)
    name = fork(app)
    copy = app.gogs.gogs.repository(name)
    assert not (copy / "gitdeploy.conf").exists()
    assert not (copy / "custom_hooks").exists()
    assert not (copy / "hooks/reference-transaction").exists()
    app.clone.release("1.0.1")
    assert "gitdeploy" not in app.clone.push(app.gogs.ssh(name)).text
    assert app.told() == [("push", "succeeded")]


def test_new_repositories_and_forks_after_all_were_enrolled(
    app: Deployable, registry: Registry, docker_client: docker.DockerClient
) -> None:
    pushed(app)
    app.site.run("enrol", "--all", "--image", f"{registry.host}/{{owner}}/{{repo}}", check=None)
    name = app.gogs.create_repository(f"{app.name.partition('/')[2]}-later")
    later = Deployable(name, app.url, app.clone, app.site)
    try:
        for version, way in (("2.0.0", "http"), ("2.0.1", "ssh")):
            app.clone.release(version)
            push = app.clone.push(remote(later, way))
            assert f"{name} {version} is live" in push.text, push.text
        copy = fork(app)
        app.clone.release("3.0.0")
        push = app.clone.push(app.gogs.http(copy))
        assert push.code == 0
        assert "gitdeploy" not in push.text
        assert later.told() == [("push", "succeeded")] * 2
        assert app.told() == [("push", "succeeded")]
    finally:
        guards.remove_app(docker_client, name)
        app.site.run("remove", "--all")


def test_renamed(app: Deployable) -> None:
    pushed(app)
    new = f"{app.name}-renamed"
    settings = f"/{app.name}/settings"
    app.gogs.submit(settings, settings, action="update", repo_name=new.partition("/")[2])
    app.clone.release("1.0.1")
    push = app.clone.push(app.gogs.http(new))
    assert f"{app.name} 1.0.1 is live" in push.text, push.text
    app.live("1.0.1")


def test_transferred_to_another_owner(app: Deployable) -> None:
    pushed(app)
    team = f"team-{app.name[-6:]}"
    app.gogs.api("POST", "/user/orgs", {"username": team})
    settings, repository = f"/{app.name}/settings", app.name.partition("/")[2]
    app.gogs.submit(settings, settings, action="transfer", repo_name=repository, new_owner_name=team)
    app.clone.release("1.0.1")
    push = app.clone.push(app.gogs.ssh(f"{team}/{repository}"))
    assert f"{app.name} 1.0.1 is live" in push.text, push.text


def test_resync_hooks_leaves_ours(app: Deployable) -> None:
    pushed(app)
    app.gogs.admin("resync-hooks")
    app.clone.git("checkout", "--quiet", "-b", "feature")
    app.clone.release("1.0.1")
    app.clone.push(app.gogs.ssh(app.name), "feature")
    app.gogs.merge(app.name, "feature", 1)
    app.live("1.0.1")
    pull(app)
    app.clone.release("1.0.2")
    assert "1.0.2 is live" in app.clone.push(app.gogs.http(app.name), "feature:main").text


def test_a_ref_moved_by_hand_and_a_restored_backup(app: Deployable) -> None:
    """In direct mode a restored backup is deployed by the next push, or by hand: nobody looks meanwhile."""
    pushed(app)
    repository = app.gogs.seen(app.name)
    app.gogs.command(["cp", "-a", repository, f"{repository}.backup"])
    pushed(app, "1.0.1")
    first = app.clone.git("rev-parse", "HEAD~1")
    app.gogs.command(["git", "-C", repository, "update-ref", "refs/heads/main", first])
    app.live("1.0.0")
    pushed(app, "1.0.2")
    app.gogs.command(["rm", "-rf", repository])
    app.gogs.command(["mv", f"{repository}.backup", repository])
    if app.site.mode == "direct":
        assert "1.0.0 is live" in app.site.run("deploy", app.name)
    app.live("1.0.0")
    assert len(app.told()) == 5


def test_deleted(app: Deployable) -> None:
    pushed(app)
    app.gogs.api("DELETE", f"/repos/{app.name}")
    assert "is live" not in app.site.run("deploy", app.name, check=2)
    assert "1.0.0" in app.site.run("status")
    if app.site.mode == "agent":  # made again, it is hooked again
        assert app.gogs.create_repository(app.name.partition("/")[2]) == app.name
        wait_until((app.gogs.gogs.repository(app.name) / "gitdeploy.conf").exists, 30, "the hook")
        app.clone.release("1.0.1")
        assert "1.0.1 is live" in app.clone.push(app.gogs.ssh(app.name)).text
