"""The agent beside a Gogs as its official images are: a container with busybox' shell and git, user 1000, data in a volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from tests.support import agent as agents
from tests.support import gogs as gogs_directory
from tests.support import gogs_container
from tests.support.agent import Agent
from tests.support.apps import SampleApp
from tests.support.gogs import Gogs, Remote
from tests.support.net import get, wait_until
from tests.support.registry import Registry

IMAGE = "gitdeploy-test/gogs:1"
SLOW = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nRUN sleep 3\nCMD ["python3", "app.py"]\n'


@pytest.fixture(scope="module")
def gogs_image(docker_client: docker.DockerClient) -> Iterator[str]:
    """The image of that Gogs."""
    gogs_container.build(docker_client, IMAGE)
    yield IMAGE
    docker_client.images.remove(IMAGE, force=True)


@dataclass(frozen=True)
class Box:
    """An enrolled app on a machine with such a Gogs and an agent."""

    name: str
    url: str
    server: Container
    gogs: Gogs
    agent: Agent
    clone: SampleApp
    remote: Remote

    @property
    def repository(self) -> str:
        """Its bare repository, as Gogs sees it."""
        return f"/data/git/gogs-repositories/{self.name}.git"

    def told(self) -> list[tuple[str, str, str]]:
        """How each deployment came about and ended, newest first."""
        return [(d["trigger"], d["status"], d["version"]) for d in self.agent.history(self.name)]

    def wait_for(self, version: str) -> None:
        """Waits until this version is live."""
        wait_until(lambda: self.told()[0][1:] == ("succeeded", version), 60, f"{version}, after {self.told()}")
        assert get(self.url).strip() == f"dev-app {version}"


@pytest.fixture
def box(
    docker_client: docker.DockerClient,
    engine_url: str,
    gogs_image: str,
    agent_image: None,
    registry: Registry,
    sample_app: SampleApp,
    app_name: str,
    free_port: int,
    tmp_path: Path,
) -> Iterator[Box]:
    volume = docker_client.volumes.create()
    server = gogs_container.start(docker_client, gogs_image, volume.name)
    try:
        data = Path(volume.attrs["Mountpoint"])
        gogs = gogs_directory.create(data, owner=1000, seen=gogs_container.SEEN, binary=gogs_container.BINARY)
        gogs.create_repository(app_name)
        with agents.agent(docker_client, engine_url, gogs, volume.name) as agent:
            container, publish = app_name.replace("/", "-"), f"127.0.0.1:{free_port}:80"
            image = f"{registry.host}/{app_name}"
            agent.run("enrol", app_name, "--image", image, "--container", container, "--publish", publish)
            remote = gogs_container.remote(server, gogs, app_name, tmp_path)
            yield Box(app_name, f"http://127.0.0.1:{free_port}", server, gogs, agent, sample_app, remote)
    finally:
        server.remove(force=True)
        volume.remove(force=True)


def test_the_server_has_nothing_but_a_shell_and_git(box: Box) -> None:
    found = gogs_container.inside(
        box.server,
        "id -u; readlink /bin/sh; command -v git python3 docker || true; test ! -e /var/run/docker.sock && echo none",
    )
    assert found.split() == ["1000", "busybox", "/usr/bin/git", "none"]


def test_the_console_comes_live(box: Box) -> None:
    box.clone.release("1.0.0", {"Dockerfile": SLOW})
    with box.clone.start_push(box.remote) as push:
        assert push.stdout is not None
        seen = ""
        while "==> Build" not in seen:
            seen += (line := push.stdout.readline())
            assert line, seen
        assert box.told()[0][1] == "running"
        seen += push.stdout.read()
    assert push.returncode == 0
    assert "1.0.0 is live at" in seen, seen
    assert get(box.url).strip() == "dev-app 1.0.0"
    assert [(d["trigger"], d["pusher"]) for d in box.agent.history(box.name)] == [("push", "alice")]
    assert sorted(path.name for path in box.agent.spool.iterdir()) == ["bell"]


# What Gogs does for its web editor (internal/database/repo_editor.go): a clone, a commit, and `git push` as its child.
WEB_EDITOR = """\
#!/bin/sh
git -C "$1" push --quiet origin main
exit $?
"""


def in_a_clone(box: Box, script: str, environ: dict[str, str] | None = None) -> None:
    """Commits VERSION 1.0.1 in a clone within the Git server's container, and runs a script there."""
    prepare = f"""cd $(mktemp -d)
    git clone --quiet {box.repository} clone
    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    echo 1.0.1 >clone/VERSION; git -C clone commit --quiet --all --message Edit
    """
    gogs_container.inside(box.server, prepare + script, environ)


def test_an_edit_in_the_web_page_is_not_held_and_deployed_once(box: Box) -> None:
    box.clone.release("1.0.0", {"Dockerfile": SLOW})
    assert "1.0.0 is live" in box.clone.push(box.remote).text
    editor = f"cat >gogs <<'END'\n{WEB_EDITOR}END\nchmod 755 gogs; ./gogs clone"
    in_a_clone(box, editor, box.gogs.hook_environment(box.name))
    assert ("push", "succeeded", "1.0.1") not in box.told()
    box.wait_for("1.0.1")
    assert box.told() == [("push", "succeeded", "1.0.1"), ("push", "succeeded", "1.0.0")]


def test_a_pull_request_merged_in_the_web_page_is_deployed_once(box: Box) -> None:
    box.clone.release("1.0.0")
    assert "1.0.0 is live" in box.clone.push(box.remote).text
    in_a_clone(box, "git -C clone push --quiet origin main")
    box.wait_for("1.0.1")
    assert box.told() == [("move", "succeeded", "1.0.1"), ("push", "succeeded", "1.0.0")]


def test_a_ref_moved_where_no_hook_can_tell_of_it(box: Box) -> None:
    """As by a restored backup: the agent sees it by itself."""
    box.clone.release("1.0.0")
    assert "1.0.0 is live" in box.clone.push(box.remote).text
    commit = box.clone.release("1.0.1")
    assert box.clone.push(box.remote, "HEAD:refs/heads/feature").code == 0
    gogs_container.inside(box.server, f"echo {commit} >{box.repository}/refs/heads/main")
    box.wait_for("1.0.1")
    assert box.told()[0][0] == "move"
