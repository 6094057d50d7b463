"""Every way in which a commit reaches a deployed branch of a real Git server, and what its administrator may do to it."""

from __future__ import annotations

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
from tests.support.realserver import USER
from tests.support.registry import Registry


def remote(app: Deployable, way: str) -> Remote:
    return app.server.ssh(app.name) if way == "ssh" else app.server.http(app.name)


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
    assert "is live" in app.clone.push(app.server.ssh(app.name)).text


def pull(app: Deployable) -> None:
    app.clone.git("pull", "--quiet", str(app.repository), "main")


def test_edit_through_the_api(app: Deployable) -> None:
    pushed(app)
    app.server.edit(app.name, "VERSION", "1.0.1\n")
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
    app.clone.push(app.server.ssh(app.name))
    began = time.monotonic()
    app.server.edit_in_page(app.name, "VERSION", "1.0.1\n")
    assert time.monotonic() - began < 4  # the build alone takes five seconds
    app.live("1.0.1")
    assert app.told() == [("push", "succeeded")] * 2


def test_a_file_deleted_and_one_uploaded_in_the_web_page(app: Deployable) -> None:
    app.clone.release("1.0.0", {"Dockerfile": SLOW, "page.txt": "hello"})
    app.clone.push(app.server.ssh(app.name))
    app.server.delete_in_page(app.name, "page.txt")
    wait_until(lambda: app.told() == [("push", "succeeded")] * 2, 60, f"the deployment: {app.told()}")
    app.server.upload_in_page(app.name, "VERSION", "1.0.1\n")
    app.live("1.0.1")
    assert app.told() == [("push", "succeeded")] * 3


def test_pull_request_merged_in_the_web_page(app: Deployable) -> None:
    pushed(app)
    app.clone.git("checkout", "--quiet", "-b", "feature")
    app.clone.release("1.0.1")
    assert "gitdeploy" not in app.clone.push(app.server.ssh(app.name), "feature").text
    app.server.merge(app.name, "feature", 1)
    app.live("1.0.1")
    assert app.told() == [(app.server.merges, "succeeded"), ("push", "succeeded")]


def test_mirror(
    site: Site,
    sample_app: SampleApp,
    registry: Registry,
    docker_client: docker.DockerClient,
    app_name: str,
    free_port: int,
) -> None:
    """An enrolled mirror is deployed when the server fetches what is new."""
    server, name = site.server, app_name.partition("/")[2]
    source = server.create_repository(f"{name}-source")
    sample_app.release("1.0.0")
    sample_app.push(server.ssh(source))
    mirror = server.mirror(source, name)
    with enrolled(site, mirror, sample_app, registry, docker_client, free_port) as app:
        sample_app.release("1.0.1")
        sample_app.push(server.ssh(source))
        server.sync(mirror)
        app.live("1.0.1")
        assert app.told() == [("move", "succeeded")]


def test_new_repository_and_another_branch_deploy_nothing(app: Deployable) -> None:
    pushed(app)
    app.clone.release("1.0.1")
    assert "gitdeploy" not in app.clone.push(app.server.http(app.name), "HEAD:refs/heads/feature").text
    other = app.server.create_repository(f"{app.name.partition('/')[2]}-other")
    assert "gitdeploy" not in app.clone.push(app.server.ssh(other)).text
    assert app.told() == [("push", "succeeded")]


def wiki_over_ssh(app: Deployable) -> Remote:
    return app.server.ssh(f"{app.name}.wiki")


def wiki_over_http(app: Deployable) -> Remote:
    return app.server.http(f"{app.name}.wiki")


@pytest.mark.parametrize("way", [wiki_over_ssh, wiki_over_http])
def test_a_push_to_the_wiki_deploys_nothing(app: Deployable, way: Callable[[Deployable], Remote]) -> None:
    pushed(app)
    app.server.begin_wiki(app.name)
    wiki = app.clone.path.with_name("wiki")
    subprocess.run(["git", "clone", "--quiet", app.server.data.repository(f"{app.name}.wiki"), wiki], check=True)
    clone = SampleApp(wiki)
    clone.release("6.6.6")
    assert clone.push(way(app), f"HEAD:refs/heads/{clone.git('branch', '--show-current')}").code == 0
    clone.push(way(app), "HEAD:refs/heads/main")
    wait_until(lambda: not app.site.waiting, 20, "the spool's end")
    assert app.told() == [("push", "succeeded")]
    findings = app.site.run("doctor", check=None)
    assert not [line for line in findings.splitlines() if not line.startswith("ok ") and "hook" in line], findings


def fork(app: Deployable) -> str:
    """Forks the app's repository into an organization; returns the fork's name."""
    name = app.server.fork(app.name, f"fork-{app.name[-6:]}")
    wait_until((app.server.data.repository(name) / "objects").is_dir, 20, "the fork")
    return name


def test_fork(app: Deployable) -> None:
    pushed(app)
    name = fork(app)
    copy = app.server.data.repository(name)
    assert not (copy / "gitdeploy.conf").exists()
    assert not (copy / "custom_hooks").exists()
    assert not (copy / "hooks/reference-transaction").exists()
    app.clone.release("1.0.1")
    assert "gitdeploy" not in app.clone.push(app.server.ssh(name)).text
    assert app.told() == [("push", "succeeded")]


def test_new_repositories_and_forks_after_all_were_enrolled(
    app: Deployable, registry: Registry, docker_client: docker.DockerClient
) -> None:
    pushed(app)
    app.site.run("enrol", "--all", "--image", f"{registry.host}/{{owner}}/{{repo}}", check=None)
    name = app.server.create_repository(f"{app.name.partition('/')[2]}-later")
    later = Deployable(name, app.url, app.clone, app.site)
    try:
        for version, way in (("2.0.0", "http"), ("2.0.1", "ssh")):
            app.clone.release(version)
            push = app.clone.push(remote(later, way))
            assert f"{name} {version} is live" in push.text, push.text
        copy = fork(app)
        app.clone.release("3.0.0")
        push = app.clone.push(app.server.http(copy))
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
    app.server.rename(app.name, new)
    app.clone.release("1.0.1")
    push = app.clone.push(app.server.http(new))
    assert f"{app.name} 1.0.1 is live" in push.text, push.text
    app.live("1.0.1")


def test_transferred_to_another_owner(app: Deployable) -> None:
    pushed(app)
    team = f"team-{app.name[-6:]}"
    app.server.transfer(app.name, team)
    app.clone.release("1.0.1")
    push = app.clone.push(app.server.ssh(f"{team}/{app.name.partition('/')[2]}"))
    assert f"{app.name} 1.0.1 is live" in push.text, push.text


def test_resync_hooks_leaves_ours(app: Deployable) -> None:
    pushed(app)
    app.server.resync()
    app.clone.git("checkout", "--quiet", "-b", "feature")
    app.clone.release("1.0.1")
    app.clone.push(app.server.ssh(app.name), "feature")
    app.server.merge(app.name, "feature", 1)
    app.live("1.0.1")
    pull(app)
    app.clone.release("1.0.2")
    assert "1.0.2 is live" in app.clone.push(app.server.http(app.name), "feature:main").text


def test_a_ref_moved_by_hand_and_a_restored_backup(app: Deployable) -> None:
    """In direct mode a restored backup is deployed by the next push, or by hand: nobody looks meanwhile."""
    pushed(app)
    repository = app.server.seen(app.name)
    app.server.command(["cp", "-a", repository, f"{repository}.backup"])
    pushed(app, "1.0.1")
    first = app.clone.git("rev-parse", "HEAD~1")
    app.server.command(["git", "-C", repository, "update-ref", "refs/heads/main", first])
    app.live("1.0.0")
    pushed(app, "1.0.2")
    app.server.command(["rm", "-rf", repository])
    app.server.command(["mv", f"{repository}.backup", repository])
    if app.site.mode == "direct":
        assert "1.0.0 is live" in app.site.run("deploy", app.name)
    app.live("1.0.0")
    assert len(app.told()) == 5


def test_deleted(app: Deployable) -> None:
    pushed(app)
    app.server.api("DELETE", f"/repos/{app.name}")
    assert "is live" not in app.site.run("deploy", app.name, check=2)
    assert "1.0.0" in app.site.run("status")
    assert app.server.create_repository(app.name.partition("/")[2]) == app.name
    app.clone.release("1.0.1")
    assert "gitdeploy" not in app.clone.push(app.server.ssh(app.name)).text  # another one of the same name
    app.site.run("enrol", app.name)
    app.clone.release("1.0.2")
    assert "1.0.2 is live" in app.clone.push(app.server.ssh(app.name)).text


LFS = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nRUN grep -q "all of it" page.bin\nCMD ["python3", "app.py"]\n'


def test_lfs(app: Deployable) -> None:
    """An object of the repository comes out; one of another repository does not, though the server has it."""
    pointer = app.server.put_lfs(app.name, f"{app.name}: all of it".encode())
    app.clone.release("1.0.0", {"Dockerfile": LFS, "page.bin": pointer})
    push = app.clone.push(app.server.http(app.name))
    assert "1.0.0 is live" in push.text, push.text
    other = app.server.create_repository(f"{app.name.partition('/')[2]}-private")
    secret = app.server.put_lfs(other, f"{other}: all of it".encode())
    app.clone.release("1.0.1", {"page.bin": secret})
    push = app.clone.push(app.server.ssh(app.name))
    assert "the Git LFS object of page.bin" in push.text, push.text
    assert "is not one of this repository's" in push.text
    assert app.told() == [("push", "failed"), ("push", "succeeded")]
