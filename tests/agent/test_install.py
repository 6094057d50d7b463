"""install.sh --mode agent: one command from nothing to an agent, again to upgrade it, and one to be rid of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.support import agent as agents
from tests.support import gogs as gogs_directory
from tests.support import guards, sshd
from tests.support.apps import SampleApp
from tests.support.gogs import Gogs
from tests.support.images import BaseImages
from tests.support.net import get, wait_until
from tests.support.registry import Registry

Install = Callable[..., str]


@pytest.fixture
def name() -> str:
    """A name for the agent that nothing else has."""
    return f"gitdeploy-test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def install(
    docker_client: docker.DockerClient, engine_url: str, agent_image: None, base_images: BaseImages, wheels: Path, name: str
) -> Iterator[Install]:
    """Runs install.sh --mode agent with these options; its exit status must be `check`. Returns all its output."""

    def run(*options: str, check: int = 0) -> str:
        return agents.install(engine_url, wheels, "--name", name, *options, check=check)

    yield run
    for container in docker_client.containers.list(all=True, filters={"name": name}):
        container.remove(force=True)
    for image in docker_client.images.list(name):
        docker_client.images.remove(image.id, force=True)
    for volume in docker_client.volumes.list(filters={"name": name}):
        volume.remove(force=True)
    docker_client.images.prune()


def test_from_nothing_to_a_deployed_push_and_back(
    install: Install,
    name: str,
    docker_client: docker.DockerClient,
    gogs_dir_of_git: Gogs,
    open_path: Path,
    sample_app: SampleApp,
    registry: Registry,
    app_name: str,
    free_port: int,
) -> None:
    gogs, data = gogs_dir_of_git, str(gogs_dir_of_git.data)
    repository = gogs.create_repository(app_name)
    before = sorted(path.relative_to(gogs.data) for path in gogs.data.rglob("*"))
    container = app_name.replace("/", "-")
    options = ["--image", f"{registry.host}/{app_name}", "--publish", f"127.0.0.1:{free_port}:80", "--container", container]
    assert "hook installed" in install("--data", data, "--repo", app_name, *options)
    agent = agents.Agent(docker_client.containers.get(name), gogs)
    (open_path / "sshd").mkdir()
    with sshd.serve(gogs, open_path / "sshd", guards.server_environment()) as server:
        sample_app.release("1.0.0")
        assert "1.0.0 is live" in sample_app.push(server.remote(app_name)).text

        slow = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nRUN sleep 4\nCMD ["python3", "app.py"]\n'
        sample_app.release("1.0.1", {"Dockerfile": slow})
        with sample_app.start_push(server.remote(app_name)) as push:
            assert push.stdout is not None
            while "==> Build" not in push.stdout.readline():
                pass
            assert "replacing the agent" in install("--data", data)
            agent = agents.Agent(docker_client.containers.get(name), gogs)
        wait_until(lambda: agent.history(app_name)[0]["status"] == "succeeded", 60, "the deployment")
    assert get(f"http://127.0.0.1:{free_port}").strip() == "dev-app 1.0.1"
    assert [d["version"] for d in agent.history(app_name)] == ["1.0.1", "1.0.0"]
    assert agent.container.attrs["HostConfig"]["RestartPolicy"]["Name"] == "always"

    assert "hook removed" in install("--data", data, "--uninstall", "--purge")
    new = {path for path in sorted(path.relative_to(gogs.data) for path in gogs.data.rglob("*")) if path not in before}
    assert {path for path in new if "objects" not in path.parts and "logs" not in path.parts and "log" not in path.parts} <= {
        (repository / "refs/heads/main").relative_to(gogs.data)
    }
    assert docker_client.volumes.list(filters={"name": name}) == []
    assert get(f"http://127.0.0.1:{free_port}").strip() == "dev-app 1.0.1"


def test_all_repositories_of_a_gogs_whose_data_is_in_a_volume(
    install: Install, name: str, docker_client: docker.DockerClient
) -> None:
    volume = docker_client.volumes.create(f"{name}-gogs")
    gogs = gogs_directory.create(Path(volume.attrs["Mountpoint"]), owner=1000, seen=Path("/data"))
    for repository in ("devops/one", "devops/two"):
        gogs.create_repository(repository)
    text = install("--volume", volume.name, "--all", "--image", "registry.example/{owner}/{repo}")
    assert "devops/one: hook installed" in text
    conf = (gogs.repository("devops/two") / "gitdeploy.conf").read_text()
    assert conf.splitlines()[:2] == ["app devops/two", "ref refs/heads/main"]
    assert "mode agent" in conf
    shown = agents.Agent(docker_client.containers.get(name), gogs).run("config", "show", "devops/two")
    assert 'image = "registry.example/devops/two"' in shown
    install("--volume", volume.name, "--uninstall", "--purge")
    volume.remove()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "neither"),
        (("--data", "/", "--volume", "x"), "exclude"),
        (("--data", "/nowhere"), "no directory"),
        (("--volume", "gitdeploy-test-no-such"), "no volume"),
        (("--data", "/", "--bogus"), "no such option"),
        (("--data", "/", "--publish", "80:80"), "add --repo"),
        (("--data", "/", "--all"), "--image"),
        (("--data", "/", "--purge"), "--uninstall"),
        (("--data", "/", "--uninstall"), "no agent named"),
    ],
)
def test_bad_usage(install: Install, options: tuple[str, ...], said: str) -> None:
    assert said in install(*options, check=2)
