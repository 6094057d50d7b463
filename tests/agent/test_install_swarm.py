"""install.sh --mode agent --swarm: the agent as a service of the machine that it is installed on, and back."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support import agent as agents
from tests.support import guards, sshd
from tests.support.apps import SampleApp
from tests.support.cluster import SwarmNodes
from tests.support.gogs import Gogs
from tests.support.net import get, wait_until

Install = Callable[..., str]
SLOW = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nRUN sleep 4\nCMD ["python3", "app.py"]\n'


@pytest.fixture
def name() -> str:
    """A name for the agent that nothing else has."""
    return f"gitdeploy-test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def manager(lone_node: SwarmNodes) -> Iterator[docker.DockerClient]:
    """The SDK's client of a manager, which is the only machine."""
    with lone_node.client() as client:
        yield client


@pytest.fixture
def install(lone_node: SwarmNodes, manager: docker.DockerClient, wheels: Path, name: str) -> Iterator[Install]:
    """Runs install.sh --mode agent on the manager with these options, as `agents.install` does."""

    def run(*options: str, check: int = 0) -> str:
        return agents.install(lone_node.manager.url, wheels, "--name", name, *options, check=check)

    yield run
    for service in manager.services.list(filters={"name": name}):
        service.remove()
    wait_until(lambda: not tasks(manager, name), 60, "the end of the agent's task")
    for container in manager.containers.list(all=True, filters={"name": name}):
        container.remove(force=True)
    for volume in manager.volumes.list(filters={"name": name}):
        volume.remove(force=True)


def tasks(client: docker.DockerClient, name: str) -> list[Any]:
    """The containers of a service, those that ended, too."""
    found: list[Any] = client.containers.list(all=True, filters={"label": f"com.docker.swarm.service.name={name}"})
    return found


def leaderless(client: docker.DockerClient) -> bool:
    """Whether the cluster cannot decide, as far as this manager knows."""
    try:
        client.services.list()
    except docker.errors.APIError as error:
        return "leader" in str(error)
    return False


@pytest.fixture
def lives(lone_node: SwarmNodes, name: str, tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """Returns when the agent's containers, in either form, started and when they died, in the engine's order."""
    told = tmp_path / "events"
    shown = ["--filter", "event=start", "--filter", "event=die", "--format", "{{.Action}} {{.Actor.Attributes.name}}"]
    with told.open("wb") as file:
        command = ["docker", "--host", lone_node.manager.url, "events", "--since", str(int(time.time())), *shown]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file)

    def found() -> list[str]:
        pairs = (line.split(" ", 1) for line in told.read_text().splitlines())
        return [action for action, container in pairs if container.split(".")[0] == name]

    yield found
    process.terminate()
    process.wait()


def given(container: Any) -> tuple[Any, ...]:
    """What a container of the agent's has of install.sh."""
    mounts = {(mount["Type"], mount["Source"], mount["Destination"], mount["RW"]) for mount in container.attrs["Mounts"]}
    config, host = container.attrs["Config"], container.attrs["HostConfig"]
    return mounts, sorted(config["Env"]), config["User"], host["NetworkMode"], host["Init"], host["PortBindings"] or {}


def test_pushes_deploy_through_upgrades_and_both_forms(
    install: Install,
    name: str,
    lone_node: SwarmNodes,
    manager: docker.DockerClient,
    gogs_dir_of_git: Gogs,
    open_path: Path,
    sample_app: SampleApp,
    free_port: int,
    lives: Callable[[], list[str]],
) -> None:
    lone_node.image("python")
    agents.build_base(manager)
    gogs, data = gogs_dir_of_git, str(gogs_dir_of_git.data)
    app = f"devops/{name}-app"
    gogs.create_repository(app)
    options = ["--image", f"{lone_node.registry.host}/{app}", "--publish", f"{free_port}:80", "--container", f"app-of-{name}"]
    text = install("--data", data, "--swarm", "--repo", app, *options)
    assert f"the agent runs: docker exec $(docker ps -qf name=^{name}.1.) gitdeploy status" in text
    assert "hook installed" in text

    def agent() -> agents.Agent:
        return agents.Agent(*tasks(manager, name), gogs)

    (service,) = manager.services.list(filters={"name": name})
    task = service.attrs["Spec"]["TaskTemplate"]
    assert task["Placement"]["Constraints"] == [f"node.id=={manager.info()['Swarm']['NodeID']}"]
    assert task["ContainerSpec"]["Image"] == manager.images.get(name).id
    assert task["ContainerSpec"]["StopGracePeriod"] == 60 * 10**9
    check = agent().container.attrs["Config"]["Healthcheck"]
    assert (check["Retries"], check["Test"]) == (20, manager.images.get(name).attrs["Config"]["Healthcheck"]["Test"])
    as_service = given(agent().container)

    (open_path / "sshd").mkdir()
    with sshd.serve(gogs, open_path / "sshd", guards.server_environment()) as server:
        sample_app.release("1.0.0")
        assert "1.0.0 is live" in sample_app.push(server.remote(app)).text
        sample_app.release("1.0.1", {"Dockerfile": SLOW})
        with sample_app.start_push(server.remote(app)) as push:
            assert push.stdout is not None
            while "==> Build" not in push.stdout.readline():
                pass
            assert "replacing the agent" in install("--data", data, "--swarm")
        wait_until(lambda: agent().history(app)[0]["status"] == "succeeded", 60, "the deployment")
        assert [deployment["version"] for deployment in agent().history(app)] == ["1.0.1", "1.0.0"]

        assert "replacing the agent" in install("--data", data)
        assert manager.services.list(filters={"name": name}) == tasks(manager, name) == []
        container = agents.Agent(manager.containers.get(name), gogs)
        assert given(container.container) == as_service
        sample_app.release("1.0.2", {"Dockerfile": SLOW.replace("RUN sleep 4\n", "")})
        assert "1.0.2 is live" in sample_app.push(server.remote(app)).text
    assert get(f"http://{lone_node.manager.address}:{free_port}").strip() == "dev-app 1.0.2"

    assert "replacing the agent" in install("--data", data, "--swarm")
    with pytest.raises(docker.errors.NotFound):
        manager.containers.get(name)
    assert [deployment["version"] for deployment in agent().history(app)] == ["1.0.2", "1.0.1", "1.0.0"]

    assert "hook removed" in install("--data", data, "--uninstall", "--purge")
    assert manager.services.list(filters={"name": name}) == tasks(manager, name) == []
    assert manager.volumes.list(filters={"name": name}) == []
    assert not (gogs.data / "gitdeploy").exists()
    wait_until(lambda: len(lives()) >= 8, 20, "the engine's word of four agents")
    assert lives() == ["start", "die"] * 4
    manager.containers.get(f"app-of-{name}").remove(force=True)


@pytest.mark.exhaustive
def test_cluster_that_cannot_decide(wheels: Path, name: str, isolated_environment: None, pytestconfig: pytest.Config) -> None:
    options = pytestconfig.getoption("--engine-root"), tuple(pytestconfig.getoption("--engine-feature"))
    with SwarmNodes(3, *options, managers=2) as swarm, swarm.client() as client:

        def refused(number: int, *options: str) -> str:
            return agents.install(swarm.nodes[number].url, wheels, "--name", name, "--data", "/", *options, check=3)

        here = [f"node.id=={client.info()['Swarm']['NodeID']}"]
        client.services.create(swarm.image("busybox"), ["sleep", "1000"], name=name, constraints=here)
        wait_until(lambda: tasks(client, name), 60, "a service in the agent's place")
        assert f"the cluster has a service {name} that is not this machine's agent" in refused(1, "--swarm")
        assert "Worker nodes can't be used" in refused(2, "--swarm")
        swarm.kill(swarm.nodes[1])
        reason = "cannot end it: rpc error"
        wait_until(lambda: leaderless(client), 90, "the cluster's word that it has no leader")
        assert reason in refused(0)
        assert reason in refused(0, "--swarm")
        assert reason in refused(0, "--uninstall")
        assert "no manager that can start a service: rpc error" in agents.install(
            swarm.manager.url, wheels, "--name", f"{name}-2", "--data", "/", "--swarm", check=3
        )
        assert [container.status for container in tasks(client, name)] == ["running"]


def test_machine_that_takes_no_tasks(install: Install, lone_node: SwarmNodes) -> None:
    lone_node.set_availability(lone_node.manager, "drain")
    try:
        text = install("--data", "/", "--swarm", check=3)
    finally:
        lone_node.set_availability(lone_node.manager, "active")
    assert "its availability is drain" in text
    assert "what to do: docker node update --availability active self" in text


def test_service_that_is_not_this_machines_agent(install: Install, name: str, manager: docker.DockerClient) -> None:
    other = manager.services.create("sha256:" + "0" * 64, name=name, constraints=["node.id==elsewhere"])
    assert f"the cluster has a service {name} that is not this machine's agent" in install("--data", "/", "--swarm", check=3)
    assert "there is no agent named" in install("--data", "/", "--uninstall", check=2)
    other.reload()


def test_engine_without_a_cluster(engine_url: str, wheels: Path, name: str) -> None:
    text = agents.install(engine_url, wheels, "--name", name, "--data", "/", "--swarm", check=3)
    assert "this machine is no manager that can start a service" in text
    assert "docker swarm init" in text
    assert "what to do: leave --swarm out for a plain container" in text
