"""Every way in which a commit reaches a deployed branch of a real Gogs, and what its administrator may do to it."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable

import docker
import pytest

from tests.gogs.conftest import Deployable
from tests.support import guards
from tests.support.apps import SampleApp
from tests.support.gogs import Remote
from tests.support.images import BaseImages
from tests.support.installed import Installed
from tests.support.net import wait_until
from tests.support.real_gogs import USER, RealGogs
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


def test_pull_request_merged_in_the_web_page(app: Deployable) -> None:
    pushed(app)
    app.clone.git("checkout", "--quiet", "-b", "feature")
    app.clone.release("1.0.1")
    assert "gitdeploy" not in app.clone.push(app.gogs.ssh(app.name), "feature").text
    app.gogs.merge(app.name, "feature", 1)
    app.live("1.0.1")
    assert app.told() == [("move", "succeeded"), ("push", "succeeded")]


def test_mirror(
    real_gogs: RealGogs,
    installed: Installed,
    sample_app: SampleApp,
    registry: Registry,
    base_images: BaseImages,
    docker_client: docker.DockerClient,
    app_name: str,
    free_port: int,
) -> None:
    """An enrolled mirror is deployed when Gogs fetches what is new."""
    name = app_name.partition("/")[2]
    source = real_gogs.create_repository(f"{name}-source")
    sample_app.release("1.0.0")
    sample_app.push(real_gogs.ssh(source))
    mirror = f"{USER}/{name}"
    origin = {"clone_addr": str(real_gogs.gogs.repository(source)), "mirror": True}
    real_gogs.api("POST", "/repos/migrate", {**origin, "uid": real_gogs.api("GET", "/user")["id"], "repo_name": name})
    image = f"{registry.host}/{mirror}"
    installed.run("enrol", mirror, "--image", image, "--container", name, "--publish", f"127.0.0.1:{free_port}:80")
    app = Deployable(mirror, f"http://127.0.0.1:{free_port}", sample_app, real_gogs, installed)
    try:
        sample_app.release("1.0.1")
        sample_app.push(real_gogs.ssh(source))
        real_gogs.api("POST", f"/repos/{mirror}/mirror-sync")
        app.live("1.0.1")
        assert app.told() == [("move", "succeeded")]
    finally:
        guards.remove_app(docker_client, mirror)


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
    wait_until(lambda: not list((app.site.home / "spool").glob("*.push")), 20, "the spool's end")
    assert app.told() == [("push", "succeeded")]


def test_fork(app: Deployable) -> None:
    pushed(app)
    app.gogs.admin(
        "create-user", f"--name=bob-{app.name[-6:]}", "--password=pass-word", "--email=" + f"{app.name[-6:]}@example.com"
    )
    source = app.gogs.gogs.repository(app.name)
    fork = app.gogs.gogs.data / "git/gogs-repositories" / f"bob-{app.name[-6:]}" / source.name
    fork.parent.mkdir(exist_ok=True)
    subprocess.run(["git", "clone", "--quiet", "--bare", source, fork], check=True)  # as ForkRepository does
    assert not (fork / "gitdeploy.conf").exists()
    assert not (fork / "custom_hooks").exists()
    assert not (fork / "hooks/reference-transaction").exists()


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


def test_deleted(app: Deployable) -> None:
    pushed(app)
    app.gogs.api("DELETE", f"/repos/{app.name}")
    assert "is live" not in app.site.run("deploy", app.name, check=2).stdout
    assert "1.0.0" in app.site.run("status").stdout
